//! Requests of the operator, who owns the files of the server and needs no token.
//!
//! - H22 A request of the operator is one durable commit, or changes nothing. An account that is
//!   blocked or deleted, or gets another password, has no login left, and a blocked one gets none.
//!
//! The requests and replies travel as JSON over a socket in the data folder. Specified in
//! docs/operating.md.

use super::accounts::Accounts;
use super::commit::{Commit, Outcome};
use super::database_access::{DatabasePath, DatabaseRight, remove_grants, set_grant};
use super::name::normal_form;
use super::record::{
    ACCOUNTS, Account, AccountsError, GRANTS, LOGINS_OF_ACCOUNT, NAMES, ReadRecords as _,
    account_of, end_login, logins_of, name_key,
};
use super::step::PasswordHasher;
use crate::json::{Fields, Object};
use crate::secret::Secret;
use base64ct::{Base64UrlUnpadded, Encoding as _};
use fastness::Time;
use zeroize::Zeroizing;

/// Request of the operator.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum AdminRequest {
    /// List all accounts.
    ListUsers,
    /// Create an account; without a password the server generates one.
    CreateUser {
        /// Name of the account.
        name: String,
        /// Password of the account.
        password: Option<Secret>,
        /// Whether the account is an administrator.
        is_admin: bool,
    },
    /// Set a password and end all logins; without a password the server generates one.
    SetPassword {
        /// Name of the account.
        name: String,
        /// New password.
        password: Option<Secret>,
    },
    /// Refuse logins and end the existing ones, or allow logins again.
    SetBlocked {
        /// Name of the account.
        name: String,
        /// Whether to refuse logins.
        is_blocked: bool,
    },
    /// Make an account an administrator, or an ordinary user.
    SetAdmin {
        /// Name of the account.
        name: String,
        /// Whether the account is an administrator.
        is_admin: bool,
    },
    /// Delete an account and end its logins.
    DeleteUser {
        /// Name of the account.
        name: String,
    },
    /// Grant a right on a database to a user, or revoke it.
    Grant {
        /// Name.
        name: String,
        /// Path of the database.
        path: String,
        /// Right; `None` revokes it.
        right: Option<DatabaseRight>,
    },
    /// Replace the key that signs access tokens.
    RotateSigningKey,
    /// Copy the accounts into a new file, under the same key.
    Backup {
        /// Absolute path of the new file.
        target: String,
    },
}

/// Reply to the operator.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum AdminReply {
    /// All accounts.
    Users(Vec<UserSummary>),
    /// The request was carried out.
    Done,
    /// The request was carried out with this generated password.
    Password(Secret),
    /// The request changed nothing: the reason.
    Refused(String),
}

/// Account in a list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UserSummary {
    /// Identity of the account.
    pub identity: String,
    /// Name of the account.
    pub name: Secret,
    /// Whether the account is an administrator.
    pub is_admin: bool,
    /// Whether logins are refused.
    pub is_blocked: bool,
    /// Number of logins, expired ones included until the next login.
    pub logins: u64,
}

impl Accounts {
    /// Carries out a request of the operator; hashes and waits for the disk.
    ///
    /// A backup is refused, because it needs the key of the file.
    #[must_use]
    pub fn administer(
        &self,
        now: Time,
        request: &AdminRequest,
        hasher: &dyn PasswordHasher,
    ) -> AdminReply {
        let reply = match request {
            AdminRequest::ListUsers => self.list_users().map(AdminReply::Users),
            AdminRequest::CreateUser { name, password, is_admin } => {
                self.new_password(password.as_ref(), hasher).and_then(|(hash, generated)| {
                    self.create_user(now, name, (hash, *is_admin))
                        .map(|reply| reply.with_password(generated))
                })
            }
            AdminRequest::SetPassword { name, password } => {
                self.new_password(password.as_ref(), hasher).and_then(|(hash, generated)| {
                    let change = |account: &mut Account| {
                        account.password = hash;
                        account.is_unused = false;
                        true
                    };
                    self.change_user(now, name, change).map(|reply| reply.with_password(generated))
                })
            }
            AdminRequest::SetBlocked { name, is_blocked } => {
                self.change_user(now, name, |account| {
                    account.is_blocked = *is_blocked;
                    *is_blocked
                })
            }
            AdminRequest::SetAdmin { name, is_admin } => self.change_user(now, name, |account| {
                account.is_admin = *is_admin;
                false
            }),
            AdminRequest::DeleteUser { name } => self.delete_user(now, name),
            AdminRequest::Grant { name, path, right } => self.grant(now, name, (path, *right)),
            AdminRequest::RotateSigningKey => {
                self.rotate_signing_key(now).map(|()| AdminReply::Done)
            }
            AdminRequest::Backup { .. } => Ok(AdminReply::Refused("no backup here".to_owned())),
        };
        reply.unwrap_or_else(|error| AdminReply::Refused(error.to_string()))
    }

    fn list_users(&self) -> Outcome<Vec<UserSummary>> {
        let snapshot = self.store.snapshot();
        let logins = snapshot.tree(LOGINS_OF_ACCOUNT);
        let mut users = Vec::new();
        for entry in snapshot.tree(ACCOUNTS).range(..)? {
            let (identity, record) = entry?;
            let account = Account::read(&record)?;
            let (first, last) =
                ([&identity[..], &[0; 16]].concat(), [&identity[..], &[0xff; 16]].concat());
            let held = logins.range(first.as_slice()..=last.as_slice())?;
            users.push(UserSummary {
                identity: String::from_utf8_lossy(&identity).into_owned(),
                name: account.name,
                is_admin: account.is_admin,
                is_blocked: account.is_blocked,
                logins: held.fold(0, |count, _| count + 1),
            });
        }
        users.sort_by(|one, other| one.name.expose().cmp(other.name.expose()));
        Ok(users)
    }

    /// Hashes a password; also returns it if it was generated.
    fn new_password(
        &self,
        password: Option<&Secret>,
        hasher: &dyn PasswordHasher,
    ) -> Outcome<(String, Option<Secret>)> {
        let mut bytes = Zeroizing::new([0; 18 + 16]);
        self.entropy.fill(&mut *bytes)?;
        let (secret, salt) = bytes.split_at(18);
        let salt = salt.try_into().map_err(|_| AccountsError::Hash)?;
        let generated = Secret::new(Base64UrlUnpadded::encode_string(secret));
        let hash = hasher.hash(password.unwrap_or(&generated), &salt);
        let hash = hash.map_err(|_| AccountsError::Hash)?;
        Ok((hash, password.is_none().then_some(generated)))
    }

    fn create_user(
        &self,
        now: Time,
        name: &str,
        (password, is_admin): (String, bool),
    ) -> Outcome<AdminReply> {
        let Some(name) = normal_form(name) else { return Ok(not_a_name()) };
        let mut commit = Commit::begin(self, now)?;
        if commit.txn.named(&name)?.is_some() {
            return Ok(refused("the name is taken"));
        }
        let account = Account { name, is_admin, is_unused: false, is_blocked: false, password };
        commit.add(&account)?;
        commit.txn.commit()?;
        Ok(AdminReply::Done)
    }

    /// Changes an account; `change` returns whether its logins end.
    fn change_user(
        &self,
        now: Time,
        name: &str,
        change: impl FnOnce(&mut Account) -> bool,
    ) -> Outcome<AdminReply> {
        let Some(name) = normal_form(name) else { return Ok(not_a_name()) };
        let mut commit = Commit::begin(self, now)?;
        let Some(identity) = commit.txn.named(&name)? else { return Ok(unknown()) };
        let mut account = account_of(&mut commit.txn, &identity)?;
        let ends_logins = change(&mut account);
        account.put(&mut commit.txn, &identity)?;
        if ends_logins {
            commit.end_logins(&identity)?;
        }
        commit.txn.commit()?;
        Ok(AdminReply::Done)
    }

    fn grant(
        &self,
        now: Time,
        name: &str,
        (path, right): (&str, Option<DatabaseRight>),
    ) -> Outcome<AdminReply> {
        let Some(name) = normal_form(name) else { return Ok(not_a_name()) };
        let path = DatabasePath::resolve(path, "").filter(|_| !path.starts_with("/~"));
        let Some(path) = path else {
            return Ok(refused("a path of a database is /IDENTITY/NAME"));
        };
        let mut commit = Commit::begin(self, now)?;
        let Some(identity) = commit.txn.named(&name)? else { return Ok(unknown()) };
        set_grant(&mut commit.txn, (&identity, &path), right)?;
        commit.txn.commit()?;
        Ok(AdminReply::Done)
    }

    fn delete_user(&self, now: Time, name: &str) -> Outcome<AdminReply> {
        let Some(name) = normal_form(name) else { return Ok(not_a_name()) };
        let mut commit = Commit::begin(self, now)?;
        let Some(identity) = commit.txn.named(&name)? else { return Ok(unknown()) };
        commit.end_logins(&identity)?;
        commit.txn.tree(NAMES)?.remove(&name_key(&name))?;
        commit.txn.tree(ACCOUNTS)?.remove(identity.as_bytes())?;
        remove_grants(&mut commit.txn.tree(GRANTS)?, &identity)?;
        commit.txn.commit()?;
        Ok(AdminReply::Done)
    }
}

impl Commit<'_> {
    /// Ends all logins of an account.
    fn end_logins(&mut self, identity: &str) -> Outcome<()> {
        for id in logins_of(&self.txn.tree(LOGINS_OF_ACCOUNT)?, identity)? {
            end_login(&mut self.txn, identity, &id)?;
        }
        Ok(())
    }
}

fn refused(reason: &str) -> AdminReply {
    AdminReply::Refused(reason.to_owned())
}

fn unknown() -> AdminReply {
    refused("there is no such account")
}

fn not_a_name() -> AdminReply {
    refused("a name has 1 to 255 bytes, and no control or invisible characters")
}

impl AdminReply {
    fn with_password(self, generated: Option<Secret>) -> Self {
        match (self, generated) {
            (Self::Done, Some(password)) => Self::Password(password),
            (reply, _) => reply,
        }
    }

    /// Encodes the reply as JSON.
    #[must_use]
    pub fn encode(&self) -> Secret {
        let reply = match self {
            Self::Users(users) => Object::new().with_list(
                "users",
                users.iter().map(|user| {
                    Object::new()
                        .with_text("identity", &user.identity)
                        .with_secret("name", &user.name)
                        .with("is_admin", user.is_admin)
                        .with("is_blocked", user.is_blocked)
                        .with("logins", user.logins)
                }),
            ),
            Self::Done => Object::new(),
            Self::Password(password) => Object::new().with_secret("password", password),
            Self::Refused(reason) => Object::new().with_text("refused", reason),
        };
        reply.write().into_secret()
    }

    /// Decodes a reply.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let object = Object::read_strictly(bytes)?;
        let fields = object.fields();
        if let Some(reason) = fields.string("refused") {
            return Some(Self::Refused(reason.to_owned()));
        }
        if let Some(password) = fields.string("password") {
            return Some(Self::Password(password.into()));
        }
        if !fields.has("users") {
            return Some(Self::Done);
        }
        let user = |fields: Fields<'_>| {
            Some(UserSummary {
                identity: fields.string("identity")?.to_owned(),
                name: fields.string("name")?.into(),
                is_admin: fields.truth("is_admin")?,
                is_blocked: fields.truth("is_blocked")?,
                logins: u64::try_from(fields.integer("logins")?).ok()?,
            })
        };
        fields.objects("users")?.map(user).collect::<Option<_>>().map(Self::Users)
    }
}

impl AdminRequest {
    /// Returns the name of the request, for logs.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::ListUsers => "list-users",
            Self::CreateUser { .. } => "create-user",
            Self::SetPassword { .. } => "set-password",
            Self::SetBlocked { is_blocked: true, .. } => "block-user",
            Self::SetBlocked { .. } => "unblock-user",
            Self::SetAdmin { is_admin: true, .. } => "make-admin",
            Self::SetAdmin { .. } => "make-user",
            Self::DeleteUser { .. } => "delete-user",
            Self::Grant { right: Some(_), .. } => "grant",
            Self::Grant { .. } => "revoke-grant",
            Self::RotateSigningKey => "rotate-key",
            Self::Backup { .. } => "backup",
        }
    }

    /// Encodes the request as JSON.
    #[must_use]
    pub fn encode(&self) -> Secret {
        let request = Object::new().with_text("request", self.name());
        let with_password = |request: Object, password: &Option<Secret>| match password {
            Some(password) => request.with_secret("password", password),
            None => request,
        };
        match self {
            Self::ListUsers | Self::RotateSigningKey => request,
            Self::CreateUser { name, password, is_admin } => {
                let request = request.with_text("name", name).with("is_admin", *is_admin);
                with_password(request, password)
            }
            Self::SetPassword { name, password } => {
                with_password(request.with_text("name", name), password)
            }
            Self::SetBlocked { name, .. }
            | Self::SetAdmin { name, .. }
            | Self::DeleteUser { name } => request.with_text("name", name),
            Self::Grant { name, path, right } => {
                let request = request.with_text("name", name).with_text("path", path);
                match right {
                    Some(right) => request.with_text("right", right.word()),
                    None => request,
                }
            }
            Self::Backup { target } => request.with_text("target", target),
        }
        .write()
        .into_secret()
    }

    /// Decodes a request.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let object = Object::read_strictly(bytes)?;
        let fields = object.fields();
        let name = || fields.string("name").map(str::to_owned);
        let password = fields.string("password").map(Secret::from);
        Some(match fields.string("request")? {
            "list-users" => Self::ListUsers,
            "create-user" => {
                let is_admin = fields.truth("is_admin")?;
                Self::CreateUser { name: name()?, password, is_admin }
            }
            "set-password" => Self::SetPassword { name: name()?, password },
            "block-user" => Self::SetBlocked { name: name()?, is_blocked: true },
            "unblock-user" => Self::SetBlocked { name: name()?, is_blocked: false },
            "make-admin" => Self::SetAdmin { name: name()?, is_admin: true },
            "make-user" => Self::SetAdmin { name: name()?, is_admin: false },
            "delete-user" => Self::DeleteUser { name: name()? },
            "grant" => {
                let right = DatabaseRight::parse(fields.string("right")?.as_bytes())?;
                let path = fields.string("path")?.to_owned();
                Self::Grant { name: name()?, path, right: Some(right) }
            }
            "revoke-grant" => {
                let path = fields.string("path")?.to_owned();
                Self::Grant { name: name()?, path, right: None }
            }
            "rotate-key" => Self::RotateSigningKey,
            "backup" => Self::Backup { target: fields.string("target")?.to_owned() },
            _ => return None,
        })
    }
}

//! `fastness server`: what the operator does with accounts, on a running server too. Its commands
//! about sync are in `sync`.
//!
//! - Y2 A password comes from a file or is generated, and is never an argument.
//! - Y10 Results go to stdout.

use crate::failure::Failure;
use crate::operator::DataArgs;
use crate::sync::{self, SyncCommand};
use clap::Subcommand;
use fastness_server::auth::Secret;
use fastness_server::auth::server::{AdminReply, AdminRequest, DatabaseRight, UserSummary};
use std::fs;
use std::io::{self, Read as _, Write};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

const EXIT_CODES: &str = "Exit codes: 0 success; 1 refused, or the accounts have a problem; 2 \
    usage; 4 environment (permissions, ..).";

/// Arguments of the operator.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct ServerArgs {
    #[command(subcommand)]
    command: ServerCommand,
}

#[derive(Debug, Subcommand)]
enum ServerCommand {
    /// List, create, change and delete accounts.
    #[command(subcommand)]
    User(UserCommand),
    /// Copy the accounts into a new file, under the same key.
    Backup(BackupArgs),
    /// Replace the key that signs access tokens.
    RotateKey(DataArgs),
    #[command(flatten)]
    Sync(SyncCommand),
}

#[derive(Debug, Subcommand)]
enum UserCommand {
    /// List all accounts.
    List(DataArgs),
    /// Create an account.
    Create(CreateArgs),
    /// End the logins of an account and refuse new ones.
    Block(UserArgs),
    /// Allow the logins of an account again.
    Unblock(UserArgs),
    /// Delete an account and end its logins.
    Delete(UserArgs),
    /// Set the password of an account and end its logins.
    SetPassword(PasswordArgs),
    /// Make an account an administrator.
    MakeAdmin(UserArgs),
    /// Make an administrator an ordinary user.
    MakeUser(UserArgs),
    /// Let an account open a database of another user.
    Grant(GrantArgs),
    /// Revoke what was granted.
    Revoke(RevokeArgs),
}

#[derive(Debug, clap::Args)]
struct UserArgs {
    /// Name of the account.
    name: String,
    #[command(flatten)]
    data: DataArgs,
}

#[derive(Debug, clap::Args)]
struct RevokeArgs {
    #[command(flatten)]
    user: UserArgs,
    /// Path of the database, /IDENTITY/NAME.
    #[arg(long)]
    path: String,
}

#[derive(Debug, clap::Args)]
struct GrantArgs {
    #[command(flatten)]
    database: RevokeArgs,
    /// Allow no changes.
    #[arg(long)]
    read_only: bool,
}

#[derive(Debug, clap::Args)]
struct PasswordArgs {
    #[command(flatten)]
    user: UserArgs,
    /// File with the password, - for stdin; without it the server generates one and prints it.
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
struct CreateArgs {
    #[command(flatten)]
    password: PasswordArgs,
    /// Make the account an administrator.
    #[arg(long)]
    admin: bool,
}

#[derive(Debug, clap::Args)]
struct BackupArgs {
    /// The new file.
    target: PathBuf,
    #[command(flatten)]
    data: DataArgs,
}

/// Carries out a command of the operator.
pub(crate) fn run(args: ServerArgs, out: &mut dyn Write) -> Result<u8, Failure> {
    match args.command {
        ServerCommand::User(command) => run_user(command, out),
        ServerCommand::Sync(command) => sync::run(command, out),
        ServerCommand::Backup(BackupArgs { target, data }) => {
            let absolute = std::path::absolute(&target)
                .map_err(|error| Failure::environment(format!("{}: {error}", target.display())))?;
            let target = absolute.into_os_string().into_string();
            let target =
                target.map_err(|_| Failure::usage("the path of a backup must be UTF-8"))?;
            data.send(&AdminRequest::Backup { target })?;
            writeln!(out, "copied; keep the key in another place")?;
            Ok(0)
        }
        ServerCommand::RotateKey(data) => {
            data.send(&AdminRequest::RotateSigningKey)?;
            writeln!(out, "access tokens are signed with another key from now on")?;
            Ok(0)
        }
    }
}

fn run_user(command: UserCommand, out: &mut dyn Write) -> Result<u8, Failure> {
    let (user, request, done) = match command {
        UserCommand::List(data) => {
            if let AdminReply::Users(users) = data.send(&AdminRequest::ListUsers)? {
                list(&users, out)?;
            }
            return Ok(0);
        }
        UserCommand::Create(CreateArgs { password, admin }) => {
            let (user, password) = password.read()?;
            let name = user.name.clone();
            (user, AdminRequest::CreateUser { name, password, is_admin: admin }, "was created")
        }
        UserCommand::SetPassword(password) => {
            let (user, password) = password.read()?;
            let name = user.name.clone();
            (user, AdminRequest::SetPassword { name, password }, "has another password")
        }
        UserCommand::Block(user) => {
            let name = user.name.clone();
            (user, AdminRequest::SetBlocked { name, is_blocked: true }, "is blocked")
        }
        UserCommand::Unblock(user) => {
            let name = user.name.clone();
            (user, AdminRequest::SetBlocked { name, is_blocked: false }, "may log in again")
        }
        UserCommand::Delete(user) => {
            let name = user.name.clone();
            (user, AdminRequest::DeleteUser { name }, "was deleted")
        }
        UserCommand::MakeAdmin(user) => {
            let name = user.name.clone();
            (user, AdminRequest::SetAdmin { name, is_admin: true }, "is an administrator")
        }
        UserCommand::MakeUser(user) => {
            let name = user.name.clone();
            (user, AdminRequest::SetAdmin { name, is_admin: false }, "is an ordinary user")
        }
        UserCommand::Grant(GrantArgs { database: RevokeArgs { user, path }, read_only }) => {
            let right = if read_only { DatabaseRight::Read } else { DatabaseRight::Write };
            let name = user.name.clone();
            let done = if read_only { "may read the database" } else { "may write the database" };
            (user, AdminRequest::Grant { name, path, right: Some(right) }, done)
        }
        UserCommand::Revoke(RevokeArgs { user, path }) => {
            let name = user.name.clone();
            (user, AdminRequest::Grant { name, path, right: None }, "has no grant for the database")
        }
    };
    let name = &user.name;
    if let AdminReply::Password(password) = user.data.send(&request)? {
        writeln!(out, "{name} may log in with {}", password.expose())?;
    } else {
        writeln!(out, "{name} {done}")?;
    }
    Ok(0)
}

/// Prints one line for each account.
fn list(users: &[UserSummary], out: &mut dyn Write) -> Result<(), Failure> {
    writeln!(out, "{:<13}  logins  {:<32}  name", "state", "identity")?;
    for user in users {
        let state = match (user.is_admin, user.is_blocked) {
            (false, false) => "user",
            (true, false) => "administrator",
            (_, true) => "blocked",
        };
        let UserSummary { identity, logins, .. } = user;
        writeln!(out, "{state:<13}  {logins:>6}  {identity:<32}  {}", user.name.expose())?;
    }
    Ok(())
}

impl PasswordArgs {
    /// Reads the password; none if the server generates it.
    fn read(self) -> Result<(UserArgs, Option<Secret>), Failure> {
        let Some(path) = &self.password_file else { return Ok((self.user, None)) };
        let read = read_line(path);
        let text = read.map_err(|error| {
            Failure::environment(format!("{}: no password: {error}", path.display()))
        })?;
        let password = text.trim_end_matches(['\r', '\n']);
        if password.is_empty() || password.len() > PASSWORD_BYTES_MAX {
            return Err(Failure::usage("a password has 1 to 1024 bytes"));
        }
        Ok((self.user, Some(Secret::from(password))))
    }
}

/// Longest password, in bytes.
const PASSWORD_BYTES_MAX: usize = 1024;

fn read_line(path: &Path) -> io::Result<Zeroizing<String>> {
    let mut text = Zeroizing::new(String::with_capacity(PASSWORD_BYTES_MAX + 2));
    if path == Path::new("-") {
        io::stdin().read_to_string(&mut text)?;
    } else {
        fs::File::open(path)?.read_to_string(&mut text)?;
    }
    Ok(text)
}

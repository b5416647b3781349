//! Paths of files on the server: validation and ownership.
//!
//! Specified in docs/server.md#calls.

const ENDS: [&str; 3] = [".realm", ".realm.lock", ".realm.management"];

/// Replaces `~` in the first segment by the identity; `None` if the path is invalid.
pub(super) fn resolve(path: &str, identity: &str) -> Option<String> {
    let rest = path.strip_prefix('/')?;
    let rest = match rest.strip_prefix("~/") {
        Some(rest) => format!("{identity}/{rest}"),
        None => rest.to_owned(),
    };
    let is_segment = |segment: &str| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
        !segment.is_empty() && !segment.starts_with('.') && segment.bytes().all(plain)
    };
    let is_path = rest.len() <= 1024 && rest.split('/').all(is_segment);
    (is_path && !ENDS.iter().any(|end| rest.ends_with(end))).then(|| format!("/{rest}"))
}

/// Returns whether a resolved path belongs to a user.
pub(super) fn belongs_to(path: &str, identity: &str) -> bool {
    let rest = path.strip_prefix('/').and_then(|rest| rest.strip_prefix(identity));
    rest.is_some_and(|rest| rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_resolved_or_refused() {
        for (path, expect) in [
            ("/~/default", Some("/i/default")),
            ("/i/a/b-c_d.e", Some("/i/a/b-c_d.e")),
            ("/other/x", Some("/other/x")),
            ("/~", None),
            ("/a/~/b", None),
            ("", None),
            ("/", None),
            ("a", None),
            ("//a", None),
            ("/a//b", None),
            ("/a/", None),
            ("/a/../b", None),
            ("/a/.b", None),
            ("/é", None),
            ("/a b", None),
            ("/a/x.realm", None),
            ("/a/x.realm.lock", None),
            ("/a/x.realm.management", None),
        ] {
            assert_eq!(resolve(path, "i").as_deref(), expect, "{path}");
        }
        assert_eq!(resolve(&format!("/{}", "a".repeat(1025)), "i"), None);
    }

    #[test]
    fn a_file_is_ones_own_below_ones_identity_only() {
        assert!(belongs_to("/i/x", "i"));
        for path in ["/i", "/ix/y", "/j/i/x", "i/x"] {
            assert!(!belongs_to(path, "i"), "{path}");
        }
    }
}

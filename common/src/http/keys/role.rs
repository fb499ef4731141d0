//! What a key's holder may do, and what requests need.

/// What a key's holder may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::http) enum Role {
    Read,
    Write,
    /// Both.
    Admin,
}

/// What a request needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::http) enum Need {
    Read,
    Write,
}

impl Role {
    pub(super) const NAMES: [(&'static str, Self); 3] = [
        ("read", Self::Read),
        ("write", Self::Write),
        ("admin", Self::Admin),
    ];

    pub(in crate::http) fn may(self, need: Need) -> bool {
        match (self, need) {
            (Self::Admin, Need::Read | Need::Write)
            | (Self::Read, Need::Read)
            | (Self::Write, Need::Write) => true,
            (Self::Read, Need::Write) | (Self::Write, Need::Read) => false,
        }
    }

    pub(in crate::http) fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Admin => "admin",
        }
    }
}

impl Need {
    pub(in crate::http) fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_may_do_what_it_is_called_and_admin_everything() {
        for (role, read, write) in [
            (Role::Read, true, false),
            (Role::Write, false, true),
            (Role::Admin, true, true),
        ] {
            assert_eq!((role.may(Need::Read), role.may(Need::Write)), (read, write));
        }
    }
}

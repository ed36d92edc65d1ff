//! Plain values that a record is about.

pub mod fault {
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum FaultKind {
        Drop,
    }

    impl FaultKind {
        pub fn from_number(number: u8) -> Option<Self> {
            (number == 0).then_some(Self::Drop)
        }
    }

    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub enum Struck {
        #[default]
        Reply,
    }

    impl Struck {
        pub const ALL: [Self; 1] = [Self::Reply];
    }

    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct Place {
        pub message: u64,
        pub reply: u16,
        pub of: u16,
        pub frame: Struck,
        pub sn: Option<u32>,
    }
}

pub mod fleet {
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum OnFull {
        Drop,
        Block,
    }
}

pub mod reload {
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Fate {
        Stays(u32),
        Gone,
    }

    impl Fate {
        pub fn stays(self) -> Option<u32> {
            match self {
                Self::Stays(number) => Some(number),
                Self::Gone => None,
            }
        }
    }
}

//! Plain values that a record is about.

pub mod about {
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct About;

    impl About {
        pub const BYTES: usize = 1;

        pub fn encode(&self) -> [u8; Self::BYTES] {
            [0]
        }

        pub fn decode(_: &[u8; Self::BYTES]) -> Option<Self> {
            Some(Self)
        }
    }
}

//! The request bytes that a reply copies in every form it may have: they distinguish requests of one command. Pure.

/// A form of a reply: its size, and for each of its bytes which byte of the request it takes over.
#[derive(Debug)]
pub struct Takes {
    /// Raw bytes.
    pub len: usize,
    /// Of the reply, of the request.
    pub taken: Vec<(usize, usize)>,
}

/// Request bytes that come back in every form of the reply, and where each form has them.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Echo {
    /// In the raw request, ascending.
    from: Box<[usize]>,
    /// By form, forms that are the same in this once.
    layouts: Box<[Layout]>,
}

#[derive(Debug, PartialEq, Eq)]
struct Layout {
    len: usize,
    /// In the raw reply, in the order of [`Echo::from`].
    to: Box<[usize]>,
}

impl Echo {
    /// Of these forms of a reply.
    pub fn new(forms: &[Takes]) -> Self {
        let Some(first) = forms.first() else { return Self::default() };
        let place = |form: &Takes, from: usize| form.taken.iter().find(|(_, of)| *of == from).map(|(at, _)| *at);
        let mut from: Vec<usize> = first.taken.iter().map(|(_, of)| *of).collect();
        from.sort_unstable();
        from.dedup();
        from.retain(|&of| forms.iter().all(|form| place(form, of).is_some()));
        let mut layouts: Vec<Layout> = Vec::new();
        for form in forms {
            let to = from.iter().filter_map(|&of| place(form, of)).collect();
            let layout = Layout { len: form.len, to };
            if !layouts.contains(&layout) {
                layouts.push(layout);
            }
        }
        Self { from: from.into(), layouts: layouts.into() }
    }

    /// Does this byte of the request come back?
    pub fn holds(&self, at: usize) -> bool {
        self.from.binary_search(&at).is_ok()
    }

    /// The class of a raw request with that number: replies tell requests apart that are of different classes.
    #[inline]
    pub fn class(&self, request: u32, raw: &[u8]) -> u64 {
        class(request, self.from.iter().map(|&at| raw.get(at).copied().unwrap_or(0)))
    }

    /// The classes that a raw reply may belong to: several only if forms of the same size have these bytes in different places.
    #[inline]
    pub fn classes(&self, request: u32, reply: &[u8], out: &mut Vec<u64>) {
        let fitting = self.layouts.iter().filter(|layout| layout.len == reply.len());
        out.extend(fitting.map(|layout| class(request, layout.to.iter().map(|&at| reply[at]))));
    }
}

/// FNV-1a with a final mix, so that all bits are usable. A collision costs one comparison.
#[inline]
fn class(request: u32, bytes: impl Iterator<Item = u8>) -> u64 {
    const PRIME: u64 = 0x0100_0000_01B3;
    let first = (0xCBF2_9CE4_8422_2325 ^ u64::from(request)).wrapping_mul(PRIME);
    let all = bytes.fold(first, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(PRIME));
    let mixed = (all ^ (all >> 32)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    mixed ^ (mixed >> 29)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(len: usize, taken: &[(usize, usize)]) -> Takes {
        Takes { len, taken: taken.to_vec() }
    }

    #[test]
    fn h07_what_every_form_takes_over_is_an_echo() {
        let check = |forms: &[Takes], expected: &[usize]| assert_eq!(*Echo::new(forms).from, *expected, "{forms:?}");
        check(&[], &[]);
        check(&[form(4, &[])], &[]);
        check(&[form(6, &[(1, 1), (4, 5), (5, 4)])], &[1, 4, 5]);
        // Twice taken over, and in one form only.
        check(&[form(6, &[(1, 1), (2, 1), (5, 4)]), form(3, &[(1, 1)])], &[1]);
        check(&[form(6, &[(1, 1)]), form(3, &[])], &[]);
    }

    #[test]
    fn h07_a_reply_is_of_the_class_of_its_request() {
        let echo = Echo::new(&[form(3, &[(0, 4), (1, 5)]), form(4, &[(2, 5), (3, 4)]), form(3, &[(1, 4), (2, 5)])]);
        let class = echo.class(7, &[0, 0, 0, 0, 8, 9]);
        let of = |reply: &[u8]| {
            let mut all = Vec::new();
            echo.classes(7, reply, &mut all);
            (all.len(), all.contains(&class))
        };
        assert_eq!([of(&[8, 9, 1]), of(&[1, 8, 9]), of(&[9, 8, 1])], [(2, true), (2, true), (2, false)]);
        assert_eq!([of(&[0, 0, 9, 8]), of(&[0, 0, 8, 9]), of(&[8, 9])], [(1, true), (1, false), (0, false)]);
        assert_ne!(class, echo.class(8, &[0, 0, 0, 0, 8, 9]));
    }
}

//! Signals between their names in the interface and their numbers.

use model::Signal;

use crate::wire::signal::Signal as Name;

/// The signal of a name; `None` where the image or the runtime decides.
pub(crate) fn asked(name: Name) -> Option<Signal> {
    (name != Name::RuntimeDefault).then(|| Signal::parse(&spelled(name)).ok()).flatten()
}

/// The name of a signal; SIGTERM for one that the interface does not have.
pub(crate) fn name(signal: Signal) -> Name {
    let all = (1..).map_while(|number| Name::try_from(number).ok());
    all.into_iter().find(|known| asked(*known) == Some(signal)).unwrap_or(Name::Sigterm)
}

/// `Sigrtminplus3` is `SIGRTMIN+3`.
fn spelled(name: Name) -> String {
    format!("{name:?}").to_uppercase().replace("PLUS", "+").replace("MINUS", "-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_to_numbers_and_back() {
        let number = |name| asked(name).map(Signal::number);
        assert_eq!(number(Name::Sigterm), Some(15));
        assert_eq!(number(Name::Sigrtminplus3), Some(37));
        assert_eq!(number(Name::Sigrtmaxminus1), Some(63));
        assert_eq!(number(Name::RuntimeDefault), None);
        assert_eq!(name(Signal::QUIT), Name::Sigquit);
        let all = (1..).map_while(|number| Name::try_from(number).ok());
        let unknown: Vec<Name> = all.filter(|name| asked(*name).is_none()).collect();
        assert_eq!(unknown, [], "each is a signal of the kernel");
    }
}

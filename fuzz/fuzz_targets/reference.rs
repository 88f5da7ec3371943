//! Names of images: nothing panics, and what is shown parses to the same again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use model::ImageReference;

fuzz_target!(|text: &str| {
    if let Ok(reference) = ImageReference::parse(text) {
        let shown = reference.to_string();
        let mut again = ImageReference::parse(&shown).expect("what is shown parses");
        // A digest hides the tag.
        if reference.digest.is_some() {
            again.tag.clone_from(&reference.tag);
        }
        assert_eq!(again, reference);
    }
});

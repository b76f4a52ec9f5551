//! What an answer of the source means for a deletion.

use super::*;

#[test]
fn a_product_that_is_not_there_has_no_words_and_a_wrong_credential_says_nothing() {
    let refused = |status, code| Err::<Vec<()>, _>(RestError::Refused { status, code });
    for none in [Err(RestError::NotFound), refused(403, Some(20403)), refused(400, None), refused(403, None)] {
        assert!(none_without_product::<()>(none.clone()).is_ok(), "{none:?}");
    }
    for nothing_said in [
        refused(401, Some(20003)),
        refused(401, None),
        refused(403, Some(70051)),
        refused(403, Some(20003)),
        Err(RestError::Throttled { retry_after: None }),
        Err(RestError::Shape("")),
    ] {
        assert!(none_without_product::<()>(nothing_said.clone()).is_err(), "{nothing_said:?}");
    }
}

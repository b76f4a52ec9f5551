//! Valid but awkward answers: `null` in nullable fields, and lists that never end.

use rand::RngExt as _;
use serde_json::{Map, Value, json};

use super::{World, answer::StandInAnswer, behaviour::Endless, request::AuthenticatedRequest};

/// Fields that are never `null`: the id and the address of an item.
const SPARED: [&str; 2] = ["sid", "uri"];

/// Changes an answer by the settings of [`super::Behaviour`].
pub(super) fn spoilt(
    world: &World,
    asked: &AuthenticatedRequest,
    answer: StandInAnswer,
) -> StandInAnswer {
    let StandInAnswer::Json(status, mut document) = answer else {
        return answer;
    };
    let behaviour = world.state().behaviour.clone();
    if behaviour.null_per_cent > 0 {
        leave_out(&mut document, behaviour.null_per_cent);
    }
    let endless = behaviour
        .endless
        .filter(|(account, _)| *account == asked.account);
    if let (Some((_, endless)), Some(page)) = (
        endless,
        document
            .as_object_mut()
            .filter(|page| page.contains_key("next_page_uri")),
    ) {
        lead_on(page, endless, asked);
    }
    StandInAnswer::Json(status, document)
}

/// Replaces texts, booleans, objects and lists of the shown items by `null`. Numbers are never
/// replaced.
fn leave_out(document: &mut Value, per_cent: u8) {
    let Some(fields) = document.as_object_mut() else {
        return;
    };
    if fields.contains_key("next_page_uri") || fields.contains_key("meta") {
        for item in fields
            .values_mut()
            .filter_map(Value::as_array_mut)
            .flatten()
        {
            leave_out(item, per_cent);
        }
        return;
    }
    for (_, value) in fields
        .iter_mut()
        .filter(|(name, _)| !SPARED.contains(&name.as_str()))
    {
        match value {
            Value::String(_) | Value::Bool(_) | Value::Object(_) | Value::Array(_)
                if rand::rng().random_range(0..100) < per_cent =>
            {
                *value = Value::Null;
            }
            Value::Object(_) => leave_out(value, per_cent),
            Value::Array(items) => items.iter_mut().for_each(|item| leave_out(item, per_cent)),
            _ => {}
        }
    }
}

fn lead_on(page: &mut Map<String, Value>, endless: Endless, asked: &AuthenticatedRequest) {
    let number = match endless {
        Endless::Circle => 1,
        Endless::Empty => {
            page.values_mut()
                .filter_map(Value::as_array_mut)
                .for_each(Vec::clear);
            asked
                .query
                .get("Page")
                .and_then(|page| page.parse::<u32>().ok())
                .unwrap_or_default()
                .saturating_add(1)
        }
    };
    // `~` sorts behind every key.
    page.insert(
        "next_page_uri".to_owned(),
        json!(format!("{}?Page={number}&PageToken=PA~", asked.path)),
    );
}

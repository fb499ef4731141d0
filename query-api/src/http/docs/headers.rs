//! The headers of answers, the same for all calls: each answer's age, and what saves its body.

use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::Operation;
use utoipa::openapi::{Object, RefOr, Response, Type};

/// Calls whose answers have no entity tag: small ones, and one that never ends.
const UNTAGGED: [&str; 6] = [
    "/users/{user_id}",
    "/users",
    "/lag",
    "/total_orders",
    "/total_spendings",
    "/events",
];

pub(super) fn describe(path: &str, operation: &mut Operation) {
    let header = |description: &str| {
        HeaderBuilder::new()
            .schema(Some(Object::with_type(Type::String)))
            .description(Some(description))
            .build()
    };
    let responses = &mut operation.responses.responses;
    let Some(RefOr::T(answer)) = responses.get_mut("200") else {
        return;
    };
    let mut add = |name: &str, description| {
        let header = header(description).into();
        answer.headers.insert(name.to_owned(), header);
    };
    add(
        "X-As-Of",
        "RFC 3339: every order that was committed up to then is in the answer",
    );
    add(
        "X-Stale",
        "true where that is more than a quarter of a second ago, else absent",
    );
    if !UNTAGGED.contains(&path) {
        add("ETag", "For If-None-Match");
        let known = Response::new("The client has it: its ETag was in If-None-Match");
        responses.insert("304".to_owned(), known.into());
    }
}

//! An API's description, as far as tests hold it against the API: which calls it names, its examples, and whether a value fits
//! a schema. Of JSON Schema it knows what such descriptions use.

use std::collections::BTreeSet;

use anyhow::{Context, bail, ensure};
use serde_json::{Map, Value};

/// A method in lower case and a path.
pub type Call = (String, String);

/// The calls that a document describes. `HEAD` is not listed: it is there wherever `GET` is.
#[must_use]
pub fn described(document: &Value) -> BTreeSet<Call> {
    let operations = operations(document).into_iter();
    operations.map(|operation| operation.call).collect()
}

/// The calls that a service has registered, from the report of actix' introspection; `HEAD` only where there is no `GET`.
///
/// # Panics
/// It is no such report.
#[must_use]
pub fn registered(report: &Value) -> BTreeSet<Call> {
    let resources = report.as_array().expect("a list of resources");
    let mut calls = BTreeSet::new();
    for resource in resources {
        let path = resource["full_path"].as_str().expect("a path");
        let methods: Vec<&str> = texts(&resource["methods"]).collect();
        let has_get = methods.contains(&"GET");
        assert!(
            !has_get || methods.contains(&"HEAD") || path == "/report",
            "{path} has no HEAD"
        );
        let listed = methods
            .iter()
            .filter(|method| !(has_get && **method == "HEAD"));
        calls.extend(listed.map(|method| (method.to_lowercase(), path.to_owned())));
    }
    calls
}

/// A call as a document describes it.
#[derive(Debug)]
pub struct Operation<'a> {
    pub call: Call,
    pub value: &'a Value,
}

/// # Panics
/// It is no such document.
#[must_use]
pub fn operations(document: &Value) -> Vec<Operation<'_>> {
    let mut operations = Vec::new();
    for (path, item) in members(&document["paths"]) {
        let in_path = members(item).map(|(method, value)| Operation {
            call: (method.clone(), path.clone()),
            value,
        });
        operations.extend(in_path);
    }
    operations
}

/// What stands behind a `$ref`, or the value itself.
#[must_use]
pub fn resolve<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    match value["$ref"].as_str() {
        Some(reference) => document
            .pointer(reference.trim_start_matches('#'))
            .unwrap_or_else(|| panic!("{reference} leads nowhere")),
        None => value,
    }
}

/// Content types of a body, each with its description.
pub fn contents(body: &Value) -> impl Iterator<Item = (&String, &Value)> {
    members(&body["content"])
}

/// The examples of a content.
#[must_use]
pub fn examples(content: &Value) -> Vec<&Value> {
    let named = members(&content["examples"]).map(|(_, example)| &example["value"]);
    content.get("example").into_iter().chain(named).collect()
}

/// Whether a value is what a schema says.
///
/// # Errors
/// Where it is not, and why.
pub fn check(document: &Value, schema: &Value, value: &Value) -> anyhow::Result<()> {
    let schema = resolve(document, schema);
    for kind in ["anyOf", "oneOf"] {
        if let Some(choices) = schema[kind].as_array() {
            let fits = |choice: &Value| check(document, choice, value).is_ok();
            ensure!(choices.iter().any(fits), "{value} is none of {choices:?}");
        }
    }
    if let Some(all) = schema["allOf"].as_array() {
        all.iter()
            .try_for_each(|part| check(document, part, value))?;
    }
    let types: Vec<&str> = texts(&schema["type"]).collect();
    ensure!(
        types.is_empty() || types.iter().any(|name| is_of_type(value, name)),
        "{value} is no {types:?}"
    );
    if let Some(choices) = schema["enum"].as_array() {
        ensure!(choices.contains(value), "{value} is none of {choices:?}");
    }
    if let Value::Object(members) = value {
        check_object(document, schema, members)?;
    }
    if let (Value::Array(elements), Some(items)) = (value, schema.get("items")) {
        for (index, element) in elements.iter().enumerate() {
            check(document, items, element).with_context(|| format!("/{index}"))?;
        }
    }
    Ok(())
}

fn check_object(
    document: &Value,
    schema: &Value,
    members: &Map<String, Value>,
) -> anyhow::Result<()> {
    for name in texts(&schema["required"]) {
        ensure!(members.contains_key(name), "{name} is missing");
    }
    for (name, value) in members {
        match schema["properties"].get(name) {
            Some(schema) => check(document, schema, value).with_context(|| format!("/{name}"))?,
            None if schema["additionalProperties"] == false => bail!("{name} is not described"),
            None => {}
        }
    }
    Ok(())
}

fn is_of_type(value: &Value, name: &str) -> bool {
    match name {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => false,
    }
}

fn members(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

/// A string, or those of a list.
fn texts(value: &Value) -> impl Iterator<Item = &str> {
    let list = value
        .as_array()
        .map_or(std::slice::from_ref(value), Vec::as_slice);
    list.iter().filter_map(Value::as_str)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_value_fits_a_schema_or_is_told_where_it_does_not() {
        let document = json!({"components": {"schemas": {"Id": {"type": "string"}}}});
        let schema = json!({
            "type": "object", "required": ["id"],
            "properties": {
                "id": {"$ref": "#/components/schemas/Id"},
                "count": {"type": ["integer", "null"]},
                "list": {"type": "array", "items": {"anyOf": [{"type": "number"}, {"type": "string"}]}}}
        });
        let fits = |value| check(&document, &schema, &value).is_ok();
        assert!(fits(
            json!({"id": "a", "count": null, "list": [1.5, "x"], "more": {}})
        ));
        for wrong in [
            json!([]),
            json!({}),
            json!({"id": 1}),
            json!({"id": "a", "count": 1.5}),
            json!({"id": "a", "list": [true]}),
        ] {
            assert!(!fits(wrong.clone()), "{wrong}");
        }
    }
}

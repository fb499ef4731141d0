use actix_web::test::TestRequest;

use super::*;

const LIMIT: Limit = Limit {
    default: 50,
    max: 500,
};

fn parameters(query: &str) -> Parameters {
    Parameters::of(&TestRequest::with_uri(&format!("/x?{query}")).to_http_request())
}

fn errors(parameters: Parameters) -> Vec<(String, String)> {
    match parameters.finish() {
        Ok(()) => Vec::new(),
        Err(HttpError::Unprocessable { errors, .. }) => errors
            .into_iter()
            .map(|error| (error.pointer, error.detail))
            .collect(),
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn what_is_absent_has_its_default() {
    let mut parameters = parameters("other=1");
    assert_eq!(parameters.limit(LIMIT), 50);
    assert_eq!(
        (parameters.by(), parameters.grain()),
        (By::Amount, Grain::Day)
    );
    assert_eq!(
        (
            parameters.user_id(),
            parameters.wait(Duration::from_secs(30))
        ),
        (None, Duration::ZERO)
    );
    assert!(errors(parameters).is_empty());
}

#[test]
fn every_wrong_parameter_is_named_with_its_rule() {
    let mut parameters = parameters(
        "limit=501&currency=usd&by=fame&wait=31&sigma=-1&cursor=x&from=2026-13-01&user_id=",
    );
    parameters.limit(LIMIT);
    parameters.currency();
    parameters.by();
    parameters.wait(Duration::from_secs(30));
    parameters.sigma();
    parameters.cursor();
    parameters.from();
    parameters.user_id();
    let errors = errors(parameters);
    let pointers: Vec<&str> = errors.iter().map(|(pointer, _)| pointer.as_str()).collect();
    let names = [
        "limit", "currency", "by", "wait", "sigma", "cursor", "from", "user_id",
    ];
    assert_eq!(pointers, names.map(|name| format!("/query/{name}")));
    assert_eq!(
        errors[0].1,
        "must be a whole number from 1 to 500 (got \"501\")"
    );
    assert_eq!(errors[2].1, "must be one of amount, orders (got \"fame\")");
}

#[test]
fn a_parameter_that_comes_twice_is_refused() {
    let mut twice = parameters("limit=1&limit=2");
    twice.limit(LIMIT);
    assert_eq!(
        errors(twice),
        [(
            "/query/limit".to_owned(),
            "is given more than once".to_owned()
        )]
    );
}

#[test]
fn what_is_required_and_absent_is_named_once() {
    let mut absent = parameters("limit=0");
    absent.limit(LIMIT);
    let user_id = absent.user_id();
    let Err(HttpError::Unprocessable { errors, .. }) = absent.require("user_id", user_id) else {
        panic!()
    };
    assert_eq!(
        errors
            .iter()
            .map(|error| error.detail.as_str())
            .collect::<Vec<_>>()
            .last(),
        Some(&"is required")
    );
    let mut wrong = parameters("user_id=");
    let user_id = wrong.user_id();
    let Err(HttpError::Unprocessable { errors, .. }) = wrong.require("user_id", user_id) else {
        panic!()
    };
    assert_eq!(errors.len(), 1);
}

#[test]
fn a_limit_is_at_least_one() {
    for bad in ["0", "-1", "1.0", "", "65537", "ten"] {
        let mut parameters = parameters(&format!("limit={bad}"));
        parameters.limit(LIMIT);
        assert_eq!(errors(parameters).len(), 1, "{bad}");
    }
}

#[test]
fn a_range_may_be_dates_or_instants() {
    let hour = |text: &str| Hour::of(Timestamp::parse(text).unwrap());
    let mut parameters = parameters("from=2026-01-31&to=2026-02-01T00:30:00%2B01:00");
    assert_eq!(parameters.from(), Some(hour("2026-01-31T00:00:00Z")));
    assert_eq!(parameters.to(), Some(hour("2026-02-01T00:00:00Z")));
}

#[test]
fn values_are_percent_decoded() {
    assert_eq!(
        parameters("user_id=a%2Fb+%C3%A9")
            .user_id()
            .unwrap()
            .as_str(),
        "a/b é"
    );
}

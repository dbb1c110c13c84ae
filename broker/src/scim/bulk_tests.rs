//! Orders of operations, references between them, and where it stops.

use proptest::prelude::*;

use super::*;

fn post(name: &str, data: &Value) -> Value {
    json!({ "method": "POST", "path": "/Users", "bulkId": name, "data": data })
}

fn group(name: &str, members: &[&str]) -> Value {
    let members: Vec<_> = members.iter().map(|member| json!({ "value": format!("bulkId:{member}") })).collect();
    json!({ "method": "POST", "path": "/Groups", "bulkId": name, "data": { "displayName": name, "members": members } })
}

fn run(operations: &[Value], fail_on_errors: Option<u64>) -> Run {
    let body = json!({ "schemas": [BULK_REQUEST], "failOnErrors": fail_on_errors, "Operations": operations });
    Run::new(Bulk::read(body).unwrap_or_else(|e| panic!("{e}")))
}

/// Does all of it, but for what `fails`; tells what was done in which order, and the answer.
fn finish(mut run: Run, fails: &dyn Fn(&Ready) -> bool) -> (Vec<Ready>, Value) {
    let mut done = Vec::new();
    while let Some(ready) = run.take() {
        let outcome = if fails(&ready) {
            Outcome::Failed(Error::new(Wrong::Uniqueness, "there is one"))
        } else {
            let id = ResourceId::new(&format!("id-{}", ready.number)).unwrap();
            Outcome::Done { status: 201, location: format!("/{}", id.as_str()), id, version: Some(Version(1)) }
        };
        run.done(ready.number, outcome);
        done.push(ready);
    }
    (done, run.into_json())
}

fn statuses(answer: &Value) -> Vec<&str> {
    answer["Operations"].as_array().unwrap().iter().map(|operation| operation["status"].as_str().unwrap()).collect()
}

#[test]
fn what_is_needed_comes_first_and_the_answer_is_in_the_clients_order() {
    let operations = [group("ops", &["ann"]), post("ann", &json!({ "userName": "ann" }))];
    let (done, answer) = finish(run(&operations, None), &|_| false);
    assert_eq!(done.iter().map(|ready| ready.number).collect::<Vec<_>>(), [1, 0]);
    assert_eq!(done[1].data["members"][0]["value"], "id-1");
    let names: Vec<_> = answer["Operations"].as_array().unwrap().iter().map(|o| o["bulkId"].clone()).collect();
    assert_eq!(names, ["ops", "ann"]);
    let expected =
        json!({ "method": "POST", "bulkId": "ann", "location": "/id-1", "version": "W/\"1\"", "status": "201" });
    assert_eq!(answer["Operations"][1], expected);
}

#[test]
fn a_path_may_refer_too() {
    let patch =
        json!({ "method": "patch", "path": "/Users/bulkId:ann", "version": "W/\"1\"", "data": { "Operations": [] } });
    let (done, _) = finish(run(&[patch, post("ann", &json!({}))], None), &|_| false);
    assert_eq!(done[1].id, ResourceId::new("id-1"));
    assert_eq!((done[1].method, done[1].version.as_deref()), (Method::Patch, Some("W/\"1\"")));
}

#[test]
fn what_waits_for_itself_conflicts_and_so_does_what_waits_for_that() {
    let operations =
        vec![group("a", &["b"]), group("b", &["a"]), group("c", &["a"]), group("d", &["d"]), group("e", &[])];
    let (done, answer) = finish(run(&operations, None), &|_| false);
    assert_eq!(done.len(), 1);
    assert_eq!(statuses(&answer), ["409", "409", "409", "409", "201"]);
}

#[test]
fn what_refers_to_nothing_or_to_what_has_failed_conflicts() {
    let operations =
        vec![post("ann", &json!({})), group("ops", &["ann"]), group("all", &["ops"]), group("x", &["nobody"])];
    let (done, answer) = finish(run(&operations, None), &|ready| ready.number == 0);
    assert_eq!(done.len(), 1);
    assert_eq!(statuses(&answer), ["409", "409", "409", "409"]);
    assert_eq!(answer["Operations"][0]["response"]["scimType"], "uniqueness");
    assert!(answer["Operations"][3]["response"]["detail"].as_str().unwrap().contains("bulkId:nobody"));
}

#[test]
fn it_stops_when_too_many_have_failed() {
    let operations = (0..6).map(|n| post(&n.to_string(), &json!({}))).collect::<Vec<_>>();
    let (done, answer) = finish(run(&operations, Some(2)), &|ready| ready.number % 2 == 0);
    assert_eq!(done.len(), 3);
    assert_eq!(statuses(&answer), ["409", "201", "409"], "what was not tried is not told of");
    let (done, _) = finish(run(&operations, None), &|_| true);
    assert_eq!(done.len(), 6);
}

#[test]
fn what_is_no_request_is_refused() {
    let one = |operation: Value| json!({ "Operations": [operation] });
    for (body, wrong, says) in [
        (json!([]), Wrong::InvalidSyntax, "object"),
        (json!({ "schemas": ["x"], "Operations": [] }), Wrong::InvalidSyntax, "BulkRequest"),
        (json!({ "failOnErrors": 0, "Operations": [] }), Wrong::InvalidSyntax, "above zero"),
        (json!({}), Wrong::InvalidSyntax, "`Operations`"),
        (one(json!({ "method": "GET", "path": "/Users" })), Wrong::InvalidSyntax, "operation 1: `method`"),
        (one(json!({ "method": "POST", "path": "/Users/1" })), Wrong::InvalidSyntax, "POST goes to"),
        (one(json!({ "method": "DELETE", "path": "/Groups" })), Wrong::InvalidSyntax, "everything else"),
        (one(json!({ "method": "DELETE", "path": "/Users/1/2" })), Wrong::InvalidSyntax, "`path` must be"),
        (one(json!({ "method": "DELETE", "path": "/Usersx" })), Wrong::InvalidSyntax, "`path` must be"),
        (one(json!({ "method": "DELETE", "path": 7 })), Wrong::InvalidSyntax, "`path` must be a text"),
        (
            json!({ "Operations": [post("a", &json!({})), post("a", &json!({}))] }),
            Wrong::InvalidSyntax,
            "same `bulkId`",
        ),
        (json!({ "Operations": vec![post("a", &json!({})); 1_001] }), Wrong::TooLarge, "1000 operations"),
    ] {
        let error = Bulk::read(body).expect_err(says);
        assert_eq!(error.wrong, wrong, "{error}");
        assert!(error.to_string().contains(says), "{error}");
    }
}

proptest! {
    #[test]
    fn nothing_is_done_before_what_it_needs(edges in proptest::collection::vec((0..12usize, 0..12usize), 0..20)) {
        let needs = |n: usize| edges.iter().filter(move |(of, _)| *of == n).map(|(_, needed)| *needed).collect::<Vec<_>>();
        let names: Vec<_> = (0..12).map(|n| n.to_string()).collect();
        let operation = |n: usize| {
            group(&names[n], &needs(n).into_iter().map(|needed| names[needed].as_str()).collect::<Vec<_>>())
        };
        let (done, answer) = finish(run(&(0..12).map(operation).collect::<Vec<_>>(), None), &|_| false);
        let place = |n: usize| done.iter().position(|ready| ready.number == n);
        for ready in &done {
            for needed in needs(ready.number) {
                prop_assert!(place(needed) < place(ready.number), "{} needs {}", ready.number, needed);
                prop_assert!(place(needed).is_some());
            }
        }
        prop_assert_eq!(statuses(&answer).len(), 12, "everything is told of");
    }
}

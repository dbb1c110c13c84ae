//! Traces that programs began go on through us, and a collector is told of what was done.

use std::time::{Duration, Instant};

use jiff::SignedDuration;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use serve::metrics::{Counted, Page};

use crate::stage::certificates::Authority;
use crate::stage::clock::Clock;
use crate::stage::cloud::{CLUSTER, PUBLIC};
use crate::stage::collector::{Collector, Mood, text};
use crate::stage::origin::Origin;
use crate::stage::payload::Form;
use crate::stage::presigning::{Token, eks_bearer};
use crate::stage::program::{Ask, Keys};
use crate::stage::streams::Streams;
use crate::stage::world::{BUCKET, Plan, ROLE, Tls, World};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CALLER: &str = "b7ad6b7169203331";
const SAMPLED: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const NOT_SAMPLED: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";
const STATE: &str = "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE";

fn get() -> Ask {
    Ask::s3("GET", BUCKET, "/2026/07.pdf")
}

async fn world(collector: &Collector, more: &str) -> World {
    Plan::default().telemetry(&collector.yaml(more)).start().await
}

impl World {
    /// The page of the product's numbers.
    fn numbers(&self) -> String {
        let mut page = Page::default();
        self.vitals.tell(&mut page);
        page.into_text()
    }

    pub(crate) fn number(&self, row: &str) -> u64 {
        let numbers = self.numbers();
        let found = numbers.lines().find_map(|line| line.strip_prefix(row)?.trim().parse().ok());
        found.unwrap_or_else(|| panic!("no {row} in {numbers}"))
    }

    /// The `traceparent` that the cloud saw last.
    fn seen(&self) -> Vec<String> {
        let calls = self.cloud.calls();
        calls.last().expect("a call").head.all("traceparent").map(str::to_owned).collect()
    }
}

/// The span of a kind; there is one.
fn one(spans: &[Span], kind: SpanKind) -> &Span {
    let mut found = spans.iter().filter(|span| span.kind == i32::from(kind));
    let (Some(one), None) = (found.next(), found.next()) else { panic!("not one {kind:?} in {spans:#?}") };
    one
}

fn of(span: &Span, key: &str) -> String {
    text(&span.attributes, key).unwrap_or_default()
}

#[tokio::test]
async fn program_s_trace_goes_on_through_us_to_the_cloud() {
    let collector = Collector::start().await;
    let world = world(&collector, "resource: { deployment.environment.name: stage }").await;
    world.cloud.keep("acme-receipts", "2026/07.pdf", b"paid");
    let reply = world.program.call(get().header("traceparent", SAMPLED).header("tracestate", STATE)).await;
    assert_eq!(reply.status(), 200, "{}", reply.text());

    let spans = collector.spans(2).await;
    let (asked, asking) = (one(&spans, SpanKind::Server), one(&spans, SpanKind::Client));
    assert!(spans.iter().all(|span| hex::encode(&span.trace_id) == TRACE && span.trace_state == STATE));
    assert_eq!((hex::encode(&asked.parent_span_id).as_str(), &asking.parent_span_id), (CALLER, &asked.span_id));
    assert_eq!(world.seen(), [format!("00-{TRACE}-{}-01", hex::encode(&asking.span_id))]);
    assert_eq!(world.cloud.calls()[0].head.get("tracestate"), Some(STATE));
    assert_eq!(world.cloud.calls()[0].key_id, Some(world.cloud.sessions()[0].key_id.clone()), "it was believed");

    assert_eq!((asked.name.as_str(), asking.name.as_str()), ("GET s3", "s3.GetObject"));
    // Sampled, known to have a parent, which is in another process; and the same without the last.
    assert_eq!((asked.flags, asking.flags), (0x301, 0x101));
    assert!(asked.start_time_unix_nano <= asking.start_time_unix_nano);
    assert!(asking.start_time_unix_nano < asking.end_time_unix_nano);
    assert_eq!(asking.end_time_unix_nano, asked.end_time_unix_nano);
    assert_eq!((&asked.status, &asking.status), (&None, &None));
    for (key, value) in [
        ("countersign.decision", "countersigned"),
        ("countersign.caller", "system:serviceaccount:shop:checkout"),
        ("countersign.target", "receipts"),
        ("countersign.role", ROLE),
        ("countersign.grant", "checkout-uses-receipts"),
        ("countersign.action", "s3:GetObject"),
        ("countersign.resource", "arn:aws:s3:::acme-receipts/2026/07.pdf"),
        ("client.address", "127.0.0.1"),
        ("http.request.method", "GET"),
        ("http.response.status_code", "200"),
        ("http.response.body.size", "4"),
        ("network.protocol.version", "1.1"),
        ("server.address", BUCKET),
        ("server.port", "443"),
        ("url.scheme", "https"),
    ] {
        assert_eq!(of(asked, key), value, "{key}");
    }
    for (key, value) in [
        ("cloud.provider", "aws"),
        ("cloud.region", "us-east-1"),
        ("rpc.system", "aws-api"),
        ("rpc.service", "s3"),
        ("rpc.method", "GetObject"),
        ("aws.request_id", "CLOUDS0OWN0ID000"),
        // Where `endpoints` leads.
        ("server.address", "127.0.0.1"),
        ("server.port", &world.cloud.address().port().to_string()),
        ("url.scheme", "http"),
        ("url.path", "/2026/07.pdf"),
        ("http.response.status_code", "200"),
    ] {
        assert_eq!(of(asking, key), value, "{key}");
    }
    assert_eq!(of(asked, "countersign.request_id"), of(asking, "countersign.request_id"));
    assert_eq!(collector.resource("service.name").as_deref(), Some("countersign"));
    assert_eq!(collector.resource("deployment.environment.name").as_deref(), Some("stage"));
    assert!(collector.resource("service.instance.id").is_some_and(|id| id.len() == 36));
}

#[tokio::test]
async fn header_is_rewritten_wherever_we_sign_and_the_cloud_believes_it() {
    let collector = Collector::start().await;
    let world = world(&collector, "records: false").await;
    let put = |form| Ask::s3("PUT", BUCKET, "/x").body(vec![b'x'; 100_000]).form(form);
    let mut asked = Vec::new();
    for form in Form::ALL {
        // Once among the headers that the program signs, once beside them.
        asked.push(world.program.sign(put(form).header("traceparent", SAMPLED)));
        asked.push(world.program.sign(put(form)).and("traceparent", SAMPLED));
    }
    let presigned = || Ask::s3("GET", BUCKET, "/x");
    let (now, keys) = (world.clock.now(), &world.program.keys);
    asked.push(presigned().header("traceparent", SAMPLED).presigned(keys, (now, 60), Token::None));
    asked.push(presigned().presigned(keys, (now, 60), Token::None).and("traceparent", SAMPLED));
    let mut seen = Vec::new();
    for request in &asked {
        let reply = world.program.secure(BUCKET).await.call(request).await.expect("an answer");
        assert_eq!(reply.status(), 200, "{}", reply.text());
        seen.extend(world.seen());
    }
    let spans = collector.spans(2 * asked.len()).await;
    let ours = spans.iter().filter(|span| span.kind == i32::from(SpanKind::Client));
    let mut ours: Vec<_> = ours.map(|span| format!("00-{TRACE}-{}-01", hex::encode(&span.span_id))).collect();
    ours.sort();
    seen.sort();
    assert_eq!(seen, ours);
    assert!(collector.records_by_now().is_empty());
}

#[tokio::test]
async fn header_stays_where_we_do_not_sign() {
    let collector = Collector::start().await;
    let world = world(&collector, "").await;
    world.cloud.keep(PUBLIC, "x", b"for all");
    let host = format!("{PUBLIC}.s3.us-east-1.amazonaws.com");
    let mut public = world.program.secure(&host).await;
    let request = format!("GET /x HTTP/1.1\r\nHost: {host}\r\ntraceparent: {SAMPLED}\r\n\r\n");
    public.send(request.as_bytes()).await.unwrap();
    assert_eq!(public.answer("GET").await.unwrap().status(), 200);
    assert_eq!(world.seen(), [SAMPLED]);

    let spans = collector.spans(2).await;
    assert_eq!(hex::encode(&one(&spans, SpanKind::Server).parent_span_id), CALLER, "it is told of all the same");
    assert_eq!(of(one(&spans, SpanKind::Server), "countersign.decision"), "passed");
}

#[tokio::test]
async fn header_stays_under_somebody_else_s_signature_and_on_the_way_to_no_cloud() {
    let collector = Collector::start().await;
    let world = world(&collector, "").await;
    let session = world.cloud.lend(SignedDuration::from_mins(60));
    let keys = Keys { id: session.key_id, secret: session.secret };
    world.cloud.keep("acme-receipts", "layer", b"of an image");
    let layer = Ask::s3("GET", BUCKET, "/layer").header("traceparent", SAMPLED);
    let url = layer.presigned(&keys, (world.clock.now(), 60), Token::Signed(&session.token));
    let reply = world.program.secure(BUCKET).await.call(&url).await.expect("an answer");
    assert_eq!((reply.status(), world.seen()), (200, vec![SAMPLED.to_owned()]), "{}", reply.text());

    let origin = Origin::clear().await;
    let mut plain = world.program.plain().await;
    let asked = format!(
        "GET http://{0}/hook/secret HTTP/1.1\r\nHost: {0}\r\ntraceparent: {SAMPLED}\r\ntracestate: {STATE}\r\n\r\n",
        origin.authority()
    );
    plain.send(asked.as_bytes()).await.unwrap();
    plain.answer("GET").await.expect("the origin speaks no HTTP, which we say");
    let heard = String::from_utf8(origin.heard()).unwrap();
    assert!(heard.contains(&format!("traceparent: {SAMPLED}\r\ntracestate: {STATE}\r\n")), "{heard}");
    collector.spans(4).await;
    assert!(!String::from_utf8_lossy(&collector.bytes()).contains("/hook/"), "paths of others are their own");
}

#[tokio::test]
async fn header_goes_on_beside_a_bearer_that_is_signed_again() {
    let collector = Collector::start().await;
    let host = "0abc.gr7.us-east-1.eks.amazonaws.com";
    let plan = Plan::default().clusters(&format!("{{ {host}: prod }}")).telemetry(&collector.yaml(""));
    let world = plan.start().await;
    let bearer = eks_bearer(&world.program.keys, world.clock.now(), CLUSTER);
    let mut api = world.program.secure(host).await;
    let head = format!("Host: {host}\r\nAuthorization: {bearer}\r\ntraceparent: {SAMPLED}\r\n");
    api.send(format!("GET /api/v1/nodes HTTP/1.1\r\n{head}\r\n").as_bytes()).await.unwrap();
    assert_eq!(api.answer("GET").await.unwrap().status(), 200);
    let spans = collector.spans(2).await;
    let ours = &one(&spans, SpanKind::Client).span_id;
    assert_eq!(world.seen(), [format!("00-{TRACE}-{}-01", hex::encode(ours))]);
}

#[tokio::test]
async fn trace_goes_on_over_streams_of_http2() {
    let collector = Collector::start().await;
    let world = Plan::default().cloud(Tls::Http2).telemetry(&collector.yaml("")).start().await;
    let streams = Streams::to(&world.program, BUCKET).await;
    let reply = streams.call(&world.program.sign(get().header("traceparent", SAMPLED))).await;
    assert_eq!(reply.status(), 404, "{}", reply.text());
    let spans = collector.spans(2).await;
    let asking = one(&spans, SpanKind::Client);
    assert_eq!(world.seen(), [format!("00-{TRACE}-{}-01", hex::encode(&asking.span_id))]);
    assert_eq!((of(asking, "error.type").as_str(), asking.status.clone().unwrap().code), ("404", 2));
    let asked = one(&spans, SpanKind::Server);
    assert_eq!(of(asked, "network.protocol.version"), "2");
    assert_eq!((of(asked, "error.type").as_str(), &asked.status), ("", &None), "a 404 is no failure of a server's");
}

#[tokio::test]
async fn collector_of_a_running_product_changes_at_its_next_start() {
    let collector = Collector::start().await;
    let world = world(&collector, "headers: {}").await;
    let (settings, waiting) = world.changed_settings("headers: {}", "sample: 1%");
    assert_eq!(waiting, ["telemetry.otlp"]);
    assert_eq!(settings.telemetry.otlp.unwrap().traces_per_million, Some(1_000_000), "what is in force");
}

#[tokio::test]
async fn trace_that_its_caller_does_not_record_is_left_alone() {
    let collector = Collector::start().await;
    let world = world(&collector, "").await;
    world.program.call(get().header("traceparent", NOT_SAMPLED)).await;
    assert_eq!(world.seen(), [NOT_SAMPLED]);
    let records = collector.records(1).await;
    let place = (hex::encode(&records[0].trace_id), hex::encode(&records[0].span_id), records[0].flags);
    assert_eq!(place, (TRACE.into(), CALLER.into(), 0));
    assert!(collector.spans_by_now().is_empty());
}

#[tokio::test]
async fn what_names_no_trace_passes_as_it_is_and_a_trace_of_ours_begins() {
    let collector = Collector::start().await;
    let world = world(&collector, "").await;
    let none = "00-00000000000000000000000000000000-b7ad6b7169203331-01";
    world.program.call(get().header("traceparent", none).header("tracestate", "a=1")).await;
    assert_eq!(world.seen(), [none]);
    world.program.call(get()).await;
    assert_eq!(world.seen(), [""; 0], "we add none");
    let repeated = world.program.sign(get()).and("traceparent", SAMPLED).and("traceparent", SAMPLED);
    world.program.secure(BUCKET).await.call(&repeated).await.expect("an answer");
    assert_eq!(world.seen(), [SAMPLED, SAMPLED]);

    let spans = collector.spans(6).await;
    let roots: Vec<_> = spans.iter().filter(|span| span.kind == i32::from(SpanKind::Server)).collect();
    assert!(roots.iter().all(|span| span.parent_span_id.is_empty() && span.trace_state.is_empty()));
    assert!(roots.iter().all(|span| hex::encode(&span.trace_id) != TRACE && span.flags == 0x101));
}

#[tokio::test]
async fn share_of_none_leaves_requests_without_a_trace_alone() {
    let collector = Collector::start().await;
    let mut world = world(&collector, "sample: 0%").await;
    world.program.call(get()).await;
    world.program.call(get().header("traceparent", SAMPLED)).await;
    world.stop().await;
    assert_eq!((collector.spans_by_now().len(), collector.records_by_now().len()), (2, 2));
}

#[tokio::test]
async fn refusal_is_a_span_with_its_reason_and_nothing_was_asked_of_the_cloud() {
    let collector = Collector::start().await;
    let grants = "grants:\n  - { name: reads, from: checkout, to: receipts, allow: [\"s3:GetObject\"] }\n";
    let world = Plan::default().grants(grants).telemetry(&collector.yaml("")).start().await;
    let reply = world.program.call(Ask::s3("PUT", BUCKET, "/x?a=b").body("1").header("traceparent", SAMPLED)).await;
    assert_eq!(reply.status(), 403);
    let spans = collector.spans(1).await;
    let [span] = &spans[..] else { panic!("{spans:#?}") };
    assert_eq!((hex::encode(&span.parent_span_id).as_str(), span.kind), (CALLER, SpanKind::Server.into()));
    for (key, value) in [
        ("error.type", "not-granted"),
        ("countersign.decision", "refused"),
        ("countersign.target", "receipts"),
        ("countersign.caller", "system:serviceaccount:shop:checkout"),
        ("http.response.status_code", "403"),
        ("url.path", "/x"),
    ] {
        assert_eq!(of(span, key), value, "{key}");
    }
    let status = span.status.clone().unwrap();
    assert_eq!((status.code, status.message), (2, of(span, "countersign.reason")));
    let records = collector.records(1).await;
    assert_eq!((records[0].severity_text.as_str(), &records[0].span_id), ("WARN", &span.span_id));
    assert_eq!((records[0].event_name.as_str(), records[0].flags), ("countersign.access", 1));
    assert_eq!(text(&records[0].attributes, "error.type").as_deref(), Some("not-granted"));
}

#[tokio::test]
async fn collector_that_is_busy_is_asked_again_when_it_says() {
    let collector = Collector::start().await;
    collector.moods([Mood::Says(503, Some("0")), Mood::Says(429, Some("1")), Mood::Says(502, None)]);
    let world = world(&collector, "records: false").await;
    let began = Instant::now();
    world.program.call(get()).await;
    assert_eq!(collector.spans(2).await.len(), 2, "once");
    // A second to gather, none after 503, one after 429, and at least one (half of two) after 502.
    assert!(began.elapsed() > Duration::from_millis(2900), "{:?}", began.elapsed());
    assert_eq!(collector.heads().len(), 4);
    world.until(|| world.number("countersign_otlp_exported_total{signal=\"spans\"}") == 2).await;
    assert_eq!(world.number("countersign_otlp_queued{signal=\"spans\"}"), 0);
}

#[tokio::test]
async fn what_the_collector_does_not_want_is_lost_and_counted() {
    let collector = Collector::start().await;
    collector.moods([Mood::Says(400, None), Mood::Rejects(1)]);
    let world = world(&collector, "records: false").await;
    let refused = || world.number("countersign_otlp_lost_total{signal=\"spans\",reason=\"refused\"}");
    world.program.call(get()).await;
    world.until(|| refused() == 2).await;
    world.program.call(get()).await;
    world.until(|| refused() == 3).await;
    assert_eq!(world.number("countersign_otlp_exported_total{signal=\"spans\"}"), 1);
    assert_eq!(collector.heads().len(), 2, "nobody asked again");
}

#[tokio::test]
async fn dead_collector_slows_no_request_and_the_end_by_little() {
    let collector = Collector::start().await;
    collector.moods(vec![Mood::Silent; 10]);
    let mut world = world(&collector, "").await;
    world.program.call(get()).await;
    collector.asked(2).await;
    let began = Instant::now();
    for _ in 0..20 {
        world.program.call(get()).await;
    }
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    let began = Instant::now();
    world.stop().await;
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
}

#[tokio::test]
async fn all_that_waits_is_told_before_the_end() {
    let collector = Collector::start().await;
    let mut world = world(&collector, "").await;
    for _ in 0..5 {
        world.program.call(get()).await;
    }
    assert!(collector.heads().is_empty(), "it is gathered first");
    world.stop().await;
    assert_eq!((collector.spans_by_now().len(), collector.records_by_now().len()), (10, 5));
}

#[tokio::test]
async fn collector_is_verified_and_shown_the_headers_that_it_asks_for() {
    let clock = Clock::new();
    let (authority, stranger) = (Authority::new(&clock), Authority::new(&clock));
    let collector = Collector::over(Some(authority.server("127.0.0.1").0)).await;
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        std::fs::write(folder.path().join(name), text).unwrap();
        folder.path().join(name).display().to_string()
    };
    let token = file("token", "Bearer opensesame\n");
    let plan = |ca: &str| {
        let otlp = format!(
            "{{ otlp: {{ endpoint: \"https://127.0.0.1:{}/tenant/\", ca_file: \"{ca}\", \
             headers: {{ Authorization: \"${{file:{token}}}\" }} }} }}",
            collector.port()
        );
        Plan::default().telemetry(&otlp)
    };
    let wrong = plan(&file("stranger.pem", stranger.pem())).start().await;
    wrong.program.call(get()).await;
    let mut right = plan(&file("ca.pem", authority.pem())).start().await;
    right.program.call(get()).await;
    right.stop().await;
    assert_eq!(collector.spans_by_now().len(), 2, "and none of those who do not know it");
    let heads = collector.heads();
    assert!(heads.iter().all(|head| head.get("authorization") == Some("Bearer opensesame")), "{heads:?}");
    let mut paths: Vec<_> = heads.iter().map(|head| head.word(1)).collect();
    paths.sort_unstable();
    assert_eq!(paths, ["/tenant/v1/logs", "/tenant/v1/traces"]);
}

//! Every host of AWS's own endpoint tests, against the host rules: right, or left open; never wrong.

use std::collections::BTreeSet;

use cloud::aws::endpoints::{SigningRegion, resolve};

const CORPUS: &str = include_str!("../testdata/aws_endpoint_corpus.tsv");

/// Mechanical Turk's sandbox is signed for a "region" called `sandbox`, which its host does not hold; clients in the
/// field sign `us-east-1`. The rules say what the host says.
const OWN_REGION_NAME: [&str; 1] = ["mturk-requester-sandbox.us-east-1.amazonaws.com"];

/// Endpoint tests of regions called `api` and `local`: no partition has such regions, so the hosts stay without answer.
const NO_REGION: [&str; 2] = ["quicksight.api.amazonaws.com", "streams.dynamodb.local.amazonaws.com"];

#[derive(Default, Debug)]
struct Score {
    right: usize,
    left_open: usize,
    unanswered: Vec<String>,
    wrong: Vec<String>,
}

fn score() -> Score {
    let mut score = Score::default();
    for line in CORPUS.lines().filter(|line| !line.starts_with('#')) {
        let [host, service, regions] = line.split('\t').collect::<Vec<_>>()[..] else { panic!("{line}") };
        let regions: BTreeSet<&str> = regions.split(',').collect();
        match resolve(&host.to_lowercase()) {
            Err(_) if NO_REGION.contains(&host) => {}
            Err(why) => score.unanswered.push(format!("{host}: {why}")),
            Ok(found) if found.service != service => score.wrong.push(format!("{host}: {found:?}, not {service}")),
            Ok(found) => match found.region {
                SigningRegion::Unknown => score.left_open += 1,
                region if regions.len() == 1 && regions.contains(region.name().unwrap_or("")) => score.right += 1,
                _ if OWN_REGION_NAME.contains(&host) => {}
                _ => score.wrong.push(format!("{host}: {found:?}, not {regions:?}")),
            },
        }
    }
    score
}

#[test]
fn every_host_of_the_published_endpoint_tests_is_answered_and_none_wrongly() {
    let score = score();
    println!("right {}, left open {}", score.right, score.left_open);
    assert_eq!(score.wrong, Vec::<String>::new());
    assert_eq!(score.unanswered, Vec::<String>::new());
    assert!(score.right > 10_000, "the corpus is complete: {}", score.right);
}

#[test]
fn the_region_is_left_open_only_where_several_are_valid() {
    for line in CORPUS.lines().filter(|line| !line.starts_with('#')) {
        let (host, regions) = (line.split('\t').next().expect("a host"), line.rsplit('\t').next().expect("regions"));
        let open = resolve(&host.to_lowercase()).is_ok_and(|found| found.region == SigningRegion::Unknown);
        // Transfer acceleration: the tests name one region, the host holds none.
        let accelerated =
            [".s3-accelerate", ".s3-accelerate.dualstack"].iter().any(|s| host.contains(&format!("{s}.amazonaws.")));
        assert_eq!(open, regions.contains(',') || accelerated, "{host}: {regions}");
    }
}

//! What pods of deploy/kubernetes do, as processes with a pod's arguments and environment: the part from the index, a read-only
//! configuration, probes, SIGTERM within the grace period, one result.

use crate::harness::{PROGRAM, Run, Tree, fsu, run_to_end};
use serde_json::{Value, json};
use std::fs::Permissions;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

const FSUS: usize = 12;
const REQUESTS: u64 = 600;

/// A manifest's text from a line to the next one of the same depth.
fn manifest(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/kubernetes").join(name);
    std::fs::read_to_string(path).expect("a manifest")
}

/// The arguments of the container of a manifest, in whose texts the names of the pod's variables are replaced.
fn arguments(manifest: &str, variables: &[(&str, String)]) -> Vec<String> {
    let after = manifest.split_once(" args:\n").expect("arguments").1;
    let lines = after.lines().map(str::trim).take_while(|line| line.starts_with("- "));
    let plain = |line: &str| line[2..].trim_matches(['\'', '"']).to_owned();
    lines
        .map(plain)
        .map(|text| variables.iter().fold(text, |text, (name, value)| text.replace(&format!("$({name})"), value)))
        .collect()
}

/// Paths of the pod, where this test has them.
fn here(arguments: Vec<String>, places: &[(&str, String)]) -> Vec<String> {
    arguments
        .into_iter()
        .map(|one| places.iter().fold(one, |one, (inside, outside)| one.replace(inside, outside)))
        .collect()
}

fn status(address: SocketAddr, path: &str, token: Option<&str>) -> u16 {
    let mut stream = TcpStream::connect(address).expect("the control server");
    let token = token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\n{token}Connection: close\r\n\r\n").expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status")
}

fn json_of(path: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).expect("a file")).expect("JSON")
}

/// The grace period of the manifest, in seconds.
fn grace_s(manifest: &str) -> u64 {
    let after = manifest.split_once("terminationGracePeriodSeconds: ").expect("a grace period").1;
    after.lines().next().expect("a number").trim().parse().expect("a number")
}

/// Nothing in that directory can be written, as with a ConfigMap.
fn make_read_only(dir: &Path) {
    for entry in std::fs::read_dir(dir).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            make_read_only(&path);
        } else {
            std::fs::set_permissions(&path, Permissions::from_mode(0o444)).expect("permissions");
        }
    }
    std::fs::set_permissions(dir, Permissions::from_mode(0o555)).expect("permissions");
}

fn set_writable(dir: &Path) {
    std::fs::set_permissions(dir, Permissions::from_mode(0o755)).expect("permissions");
    for entry in std::fs::read_dir(dir).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            set_writable(&path);
        }
    }
}

#[test]
fn pods_serve_load_and_merge() {
    let tree = Tree::new(&[fsu("site", "10000000", "udp", &json!({"count": FSUS}))], &json!({}));
    tree.write("meter/rules/default.json", r#"{"01": {}, "02": {}, "03": {}, "05": {}}"#);
    let config = tree.path("");
    let results = tempfile::tempdir().expect("a volume");
    let token = results.path().join("token");
    std::fs::write(&token, "correct-horse\n").expect("a secret");
    make_read_only(&config);
    let at = |what: &str, index: usize| results.path().join(format!("{what}-{index}"));
    let text = |path: &Path| path.display().to_string();
    let run_manifest = manifest("run.yaml");
    let parts: Vec<Run> = (0..3)
        .map(|index| {
            let own = at("run", index);
            std::fs::create_dir_all(&own).expect("a directory of the volume");
            let pod = arguments(&run_manifest, &[("FSU_MOCK_PART", index.to_string())]);
            assert!(pod.contains(&format!("{index}/3")), "{pod:?}");
            let places = [
                ("/etc/fsu-mock-token/token", text(&token)),
                ("/etc/fsu-mock", text(&config)),
                ("/results", text(&own)),
                // Pods have addresses of their own; these have ports of their own.
                ("0.0.0.0:9900", "127.0.0.1:0".to_owned()),
            ];
            Run::ready(Command::new(PROGRAM).args(here(pod, &places)), own.join("stats.json"))
        })
        .collect();
    for run in &parts {
        let line = run.said.iter().find_map(|line| line.split_once("control: http://")).expect("its address");
        let address: SocketAddr = line.1.trim_end_matches('/').parse().expect("an address");
        let probes = run_manifest.matches("httpGet").count();
        assert_eq!(probes, 2, "a probe for life and one for readiness");
        // As the kubelet asks: without the token.
        assert_eq!([status(address, "/healthz", None), status(address, "/readyz", None)], [200, 200]);
        assert_eq!([status(address, "/metrics", None), status(address, "/metrics", Some("correct-horse"))], [401, 200]);
    }
    // Each part of the load asks what every part of the mock serves.
    let ports = results.path().join("ports");
    let said: Vec<String> = parts.iter().flat_map(|run| run.said.iter().cloned()).collect();
    std::fs::write(&ports, said.join("\n")).expect("written");
    let flood_manifest = manifest("flood.yaml");
    for index in 0..3 {
        let own = at("flood", index);
        std::fs::create_dir_all(&own).expect("a directory of the volume");
        let pod = arguments(&flood_manifest, &[("JOB_COMPLETION_INDEX", index.to_string())]);
        let places = [("/etc/fsu-mock", text(&config)), ("/results", text(&own))];
        let mut pod = here(pod, &places);
        // Not for a minute.
        let seconds = pod.iter().position(|one| one == "--seconds").expect("a time");
        pod[seconds + 1] = "20".to_owned();
        let mut command = Command::new(PROGRAM);
        command.args(pod).args(["--requests", &REQUESTS.to_string(), "--timeout-ms", "5000", "--ports"]).arg(&ports);
        let ended = run_to_end(command.env("JOB_COMPLETION_INDEX", index.to_string()));
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    }
    let grace = Duration::from_secs(grace_s(&run_manifest));
    let begin = Instant::now();
    for run in parts {
        // SIGTERM, as the kubelet sends it.
        assert_eq!(run.stop().code, Some(0));
    }
    assert!(begin.elapsed() < grace, "all parts ended within the grace period of one");
    for (what, file) in [("run", "stats.json"), ("flood", "flood.json")] {
        let dirs: Vec<PathBuf> = (0..3).map(|index| at(what, index)).collect();
        let all = manifest("merge.yaml");
        let job = all.split("---").find(|job| job.contains(&format!("fleet-merge-{what}"))).expect("a job");
        let pod = here(arguments(job, &[]), &[("/results", text(results.path()))]);
        assert_eq!(pod[2..], dirs.iter().map(|dir| text(dir)).collect::<Vec<_>>());
        let ended = run_to_end(Command::new(PROGRAM).args(&pod));
        assert!(ended.code == Some(0) || ended.stdout.join("\n").contains("not valid"), "{}", ended.stderr);
        let merged = json_of(&Path::new(&pod[1]).join(file));
        assert_eq!(merged["merged"]["parts"], 3);
        let pointer = if what == "run" { "/totals/received" } else { "/totals/sent_all" };
        assert_eq!(merged.pointer(pointer).and_then(Value::as_u64), Some(REQUESTS), "{what}");
    }
    set_writable(&config);
}

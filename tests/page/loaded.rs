//! The page of a load.

use crate::browser::{Browser, DESKTOP, Look};
use crate::load::Load;
use crate::site::Site;

/// A load of that site.
fn load(site: &Site, args: &[&str]) -> Load {
    site.tree.write("ports.txt", &site.run.said.join("\n"));
    let config = ["--config", "sys_config.json", "--ports", "ports.txt", "--rate", "100", "--seconds", "600"];
    Load::start(&site.tree, &[&config[..], args].concat())
}

#[tokio::test]
async fn the_numbers_of_a_load_move() {
    let site = Site::one(&[]);
    let load = load(&site, &["--mock", &site.url]);
    let browser = Browser::open(&format!("http://{}", load.at), DESKTOP).await;
    browser.until_text("#status", "Live").await;
    let total = |least: u32| {
        format!(
            "Number(document.querySelector(\"[data-figure='rate.answered'] .sub\").textContent.replace(/\\D/g, '')) > {least}"
        )
    };
    browser.until(&total(0)).await;
    browser.until(&total(250)).await;
    browser.until("parseFloat(document.querySelector(\"[data-figure='rate.sent'] .value\").textContent) > 50").await;
    for (figure, name) in [("latency", "Latency p99"), ("lag", "Flood late p99"), ("mock_late", "Mock late p99")] {
        browser.until_text(&format!("[data-figure='{figure}'] dt"), name).await;
    }
    browser.until_text("[data-figure='target'] .value", "100").await;
    browser.until_text("#verdict", "alid").await;
    // Two charts, and nothing that a load does not have.
    assert_eq!(browser.value("document.querySelectorAll('.charts canvas').length").await, 2);
    let shown =
        "[...document.querySelectorAll('nav a')].filter(a => a.offsetParent).map(a => a.getAttribute('href')).join()";
    let views = browser.value(shown).await;
    assert!(!views.as_str().unwrap().contains("fsus"), "{views}");
    let map = "[...document.querySelectorAll('.cells canvas')].some(canvas => canvas.offsetParent !== null)";
    assert_eq!(browser.value(map).await, false);
    assert_eq!(browser.value("document.querySelectorAll('#reload, #log-level').length").await, 0);
    browser.close().await;
    assert_eq!(load.stop(), Some(0));
    site.run.stop();
}

#[tokio::test]
async fn a_load_on_a_telephone_in_the_dark_in_chinese() {
    let site = Site::one(&[]);
    let load = load(&site, &[]);
    let look = Look { width: 360, is_dark: true, language: "zh-CN" };
    let browser = Browser::open(&format!("http://{}", load.at), look).await;
    browser.until_text("[data-figure='rate.sent'] dt", "发送").await;
    browser.until_text("[data-figure='lag'] dt", "压测方迟到").await;
    let width = browser.value("document.documentElement.scrollWidth").await;
    assert!(width.as_u64() <= Some(360), "{width}");
    let ground = browser.value("getComputedStyle(document.body).backgroundColor").await;
    let parts: Vec<u32> =
        ground.as_str().unwrap().split(|c: char| !c.is_ascii_digit()).filter_map(|n| n.parse().ok()).collect();
    assert!(parts[..3].iter().all(|part| *part < 80), "{ground}");
    browser.close().await;
    assert_eq!(load.stop(), Some(0));
    site.run.stop();
}

//! Numbers: the first ones, and that they move.

use crate::browser::{Browser, DESKTOP};
use crate::harness::fsu;
use crate::site::Site;
use crate::wire::meter;
use serde_json::json;

/// The number in a figure of the overview.
fn figure(key: &str) -> String {
    format!("[data-figure='{key}'] .value")
}

#[tokio::test]
async fn numbers_are_there_and_move_under_load() {
    let site = Site::one(&[]);
    let centre = site.centre();
    let browser = Browser::open(&site.url, DESKTOP).await;
    browser.until_text("#status", "Live").await;
    browser.until_text("#verdict", "alid").await;
    let total = "[data-figure='rate.received'] .sub";
    browser.until_text(total, "total 1").await;
    // As long as it is asked, each second has a rate.
    let deadline = std::time::Instant::now() + crate::harness::PATIENCE;
    while browser
        .value(&format!("parseFloat(document.querySelector(\"{}\").textContent) > 0", figure("rate.received")))
        .await
        != true
    {
        assert!(std::time::Instant::now() < deadline, "{}", browser.text("#figures").await);
        for _ in 0..20 {
            centre.ask(&meter(1, 1, &[0, 7]));
        }
    }
    for _ in 0..500 {
        centre.ask(&meter(1, 1, &[0, 7]));
    }
    browser.until(&format!("Number(document.querySelector(\"{total}\").textContent.replace(/\\D/g, '')) > 500")).await;
    browser.until_text(".bars", "site").await;
    browser.until_text(".legend a[data-state=serving] b", "1").await;
    browser.close().await;
    site.run.stop();
}

/// The page says that the server is gone, and goes on by itself when it is back.
#[tokio::test]
async fn a_lost_connection_is_told_and_made_again() {
    let site = Site::one(&[]);
    let browser = Browser::open(&site.url, DESKTOP).await;
    browser.until_text("#status", "Live").await;
    let at = site.url.trim_start_matches("http://").to_owned();
    site.run.stop();
    browser.until("!document.getElementById('lost').hidden").await;
    assert!(browser.text("#lost").await.starts_with("Connection lost"));
    let fsus = [fsu("other", "20250126", "udp", &json!({}))];
    let site = Site::at_address(&fsus, &at);
    browser.until("document.getElementById('lost').hidden").await;
    browser.until_text("#status", "Live").await;
    browser.view("fsus").await;
    browser.until_text("#fleet tbody", "other").await;
    browser.close().await;
    site.run.stop();
}

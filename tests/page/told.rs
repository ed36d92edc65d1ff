//! What an FSU remembers and leaves unanswered, and who is let in.

use crate::browser::{Browser, DESKTOP};
use crate::harness::fsu;
use crate::site::{ID, Site};
use crate::wire::meter;
use serde_json::json;

#[tokio::test]
async fn a_register_is_set_in_its_place_and_is_a_text() {
    let site = Site::one(&[]);
    let centre = site.centre();
    centre.ask(&meter(1, 5, &[0xAA, 0xBB, 0xCC, 0xDD]));
    let browser = Browser::open(&site.at("fsu/site"), DESKTOP).await;
    browser.click("[data-edit=mark]").await;
    browser.write("[data-register=mark]", "<i>x").await;
    browser.click(".registers form .main").await;
    browser.until_text(".registers dd .code", "<i>x").await;
    // It is what the server has, too: another look at it shows it, as text.
    browser.reload().await;
    browser.until_text(".registers dd .code", "<i>x").await;
    assert_eq!(browser.value("document.querySelectorAll('.registers dd i').length").await, 0);
    browser.close().await;
    site.run.stop();
}

#[tokio::test]
async fn an_unanswered_request_is_explained() {
    let site = Site::one(&[]);
    let centre = site.centre();
    // No command of the meter.
    centre.send(&meter(1, 0x77, &[0, 7]));
    let browser = Browser::open(&site.at("unanswered"), DESKTOP).await;
    browser.until_text("#unanswered", "site").await;
    browser.click("#unanswered summary").await;
    browser.until_text("#unanswered details[open] pre", "77").await;
    browser.close().await;
    site.run.stop();
}

#[tokio::test]
async fn the_token_is_asked_for_and_kept() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), "s3cret-of-a-page\n").expect("written");
    let token = file.path().display().to_string();
    let site = Site::of(&[fsu("site", ID, "udp", &json!({}))], &["--control-token", &token]);
    let browser = Browser::open_only(&site.url, DESKTOP).await;
    browser.until_text("dialog[open]", "asks for a token").await;
    browser.write("#token", "another").await;
    browser.click("dialog[open] .main").await;
    browser.until_text("dialog[open]", "not the right one").await;
    browser.write("dialog[open] #token", "s3cret-of-a-page").await;
    browser.click("dialog[open] .main").await;
    browser.until_text("#status", "Live").await;
    browser.until_text("[data-figure='rate.received'] .sub", "total").await;
    // This tab keeps it.
    browser.reload().await;
    assert_eq!(browser.value("document.querySelectorAll('dialog[open]').length").await, 0);
    browser.close().await;
    site.run.stop();
}

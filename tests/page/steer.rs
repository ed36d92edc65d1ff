//! What a click does: it reaches the FSU, and a centre sees it.

use crate::browser::{Browser, DESKTOP};
use crate::harness::fsu;
use crate::site::{ID, Site};
use crate::wire::meter;
use serde_json::json;

#[tokio::test]
async fn a_triggered_alarm_reaches_a_centre() {
    let site = Site::one(&[]);
    let centre = site.centre();
    let browser = Browser::open(&site.at("fsu/site"), DESKTOP).await;
    browser.click("#trigger").await;
    assert_eq!(centre.receive(), meter(0, 3, &[0x00, 0xAA]));
    browser.until_text("#trigger-form .result", "Sent by 1 of 1").await;
    browser.write("#args", "tag=BEEF").await;
    browser.click("#trigger").await;
    assert_eq!(centre.receive(), meter(0, 3, &[0xBE, 0xEF]));
    browser.until_text("[data-value=messages_sent]", "2").await;
    // A word that is no argument is told, and nothing is sent.
    browser.write("#args", "tag").await;
    browser.click("#trigger").await;
    browser.until_text("#trigger-form .result.bad", "NAME=VALUE").await;
    browser.close().await;
    site.run.stop();
}

#[tokio::test]
async fn an_fsu_goes_offline_and_comes_back() {
    let site = Site::one(&[]);
    let centre = site.centre();
    let browser = Browser::open(&site.at("fsu/site"), DESKTOP).await;
    browser.write("#offline-s", "3600").await;
    browser.click("#offline").await;
    browser.until_text("#fsu-state", "offline").await;
    browser.until_text("#offline-form .result.good", "3600").await;
    centre.send(&meter(1, 1, &[0, 8]));
    browser.click("#clear").await;
    browser.until("!document.querySelector('#fsu-state').textContent.includes('offline')").await;
    // What was asked meanwhile is lost: the next answer is to the next request.
    assert_eq!(centre.ask(&meter(1, 1, &[0, 9])), meter(1, 1, &[0, 9, 2, 1]));
    browser.close().await;
    site.run.stop();
}

#[tokio::test]
async fn a_fault_is_armed_and_cleared() {
    let site = Site::one(&[]);
    let centre = site.centre();
    let browser = Browser::open(&site.at("fsu/site"), DESKTOP).await;
    browser.write("[data-fault=duplicate]", "1").await;
    browser.write("#ttl", "3600").await;
    browser.click("#arm").await;
    browser.until_text("#faults-form .result.good", "Armed on 1").await;
    browser.until_text("#fsu-state", "faulty").await;
    let answer = meter(1, 1, &[0, 7, 2, 1]);
    assert_eq!([centre.ask(&meter(1, 1, &[0, 7])), centre.receive()], [answer.clone(), answer]);
    browser.click("#clear").await;
    browser.until_text("#clear-form .result.good", "Cleared on 1").await;
    browser.until("!document.querySelector('#fsu-state').textContent.includes('faulty')").await;
    let two = [centre.ask(&meter(1, 1, &[0, 7])), centre.ask(&meter(1, 1, &[0, 8]))];
    assert_eq!(two, [meter(1, 1, &[0, 7, 2, 1]), meter(1, 1, &[0, 8, 2, 1])]);
    browser.close().await;
    site.run.stop();
}

/// A server that takes no changes: nothing is offered.
#[tokio::test]
async fn a_read_only_page_offers_nothing() {
    let site = Site::of(&[fsu("site", ID, "udp", &json!({}))], &["--control-read-only"]);
    let browser = Browser::open(&site.at("fsu/site"), DESKTOP).await;
    browser.until_text(".device", "alarm").await;
    browser.until("!document.getElementById('readonly').hidden").await;
    for offered in ["#actions", "[data-edit]", "form"] {
        assert_eq!(browser.value(&format!("document.querySelectorAll('{offered}').length")).await, 0, "{offered}");
    }
    browser.view("fsus").await;
    browser.until_text("#fleet", "site").await;
    assert_eq!(browser.value("document.querySelectorAll('#act').length").await, 0);
    browser.view("").await;
    browser.until_text("#figures", "Received").await;
    assert_eq!(browser.value("document.querySelectorAll('#reload, #log-level').length").await, 0);
    browser.close().await;
    site.run.stop();
}

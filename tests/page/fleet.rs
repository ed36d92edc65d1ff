//! The table of FSUs and the map, with many of them and with names that are no words.

use crate::browser::{Browser, DESKTOP};
use crate::harness::fsu;
use crate::keys::{END, ENTER, ESCAPE, RIGHT};
use crate::site::{ID, Site};
use serde_json::json;

const ROWS: &str = "[...document.querySelectorAll('#fleet tbody a.fsu')].map((a) => a.textContent)";

#[tokio::test]
async fn ten_thousand_are_filtered_sorted_and_drawn() {
    let site = Site::of(&[fsu("many", ID, "udp", &json!({"count": 10_000}))], &[]);
    let browser = Browser::open(&site.at("fsus"), DESKTOP).await;
    browser.until(&format!("{ROWS}.length === 100")).await;
    browser.until_text("#where", "1–100 of 10,000").await;
    browser.write("#search", "many_0999").await;
    browser.until_text("#where", "1–10 of 10, fleet of 10,000").await;
    assert_eq!(browser.value(&format!("{ROWS}[9]")).await, "many_09999");
    browser.write("#search", "many_0?000").await;
    browser.until_text("#where", "1–9 of 9").await;
    browser.click("[data-sort=name]").await;
    browser.click("[data-sort=name]").await;
    browser.until(&format!("{ROWS}[0] === 'many_09000'")).await;
    // What was looked for is in the address, so a link to it finds the same.
    assert_eq!(browser.value("location.hash").await, "#/fsus?name=many_0%3F000&sort=name&desc=1");
    browser.view("").await;
    browser.until_text(".legend a[data-state=idle] b", "10,000").await;
    browser.point(".cells canvas", 0.0, 0.0).await;
    browser.until_text("#map-told", "many_0").await;
    browser.value("document.querySelector('.cells canvas').focus()").await;
    browser.press(END).await;
    browser.until_text("#map-told", "many_10000").await;
    browser.press(ENTER).await;
    browser.until_text("h1", "many_10000").await;
    browser.close().await;
    site.run.stop();
}

/// Names as long and as strange as the configuration lets them be.
fn strange() -> [String; 6] {
    [
        "x".repeat(200),
        "it's & that;#%20+=".to_owned(),
        "\u{202e}desrever".to_owned(),
        "موقع_١".to_owned(),
        "中文站点".to_owned(),
        "${alert(1)}`'".to_owned(),
    ]
}

#[tokio::test]
async fn strange_names_are_texts_and_their_pages_open() {
    let names = strange();
    let fsus: Vec<_> =
        names.iter().enumerate().map(|(i, name)| fsu(name, &format!("2025012{i}"), "udp", &json!({}))).collect();
    let site = Site::of(&fsus, &[]);
    let browser = Browser::open(&site.at("fsus"), DESKTOP).await;
    for (row, name) in names.iter().enumerate() {
        browser.view("fsus").await;
        browser.until(&format!("{ROWS}.length === {}", names.len())).await;
        assert_eq!(browser.value(&format!("{ROWS}[{row}]")).await, name.as_str());
        browser.click(&format!("#fleet tbody tr:nth-child({}) a.fsu", row + 1)).await;
        browser.until(&format!("document.querySelector('h1 > bdi')?.textContent === {}", json!(name))).await;
        browser.until_text("#fsu-state", "idle").await;
        let is_wide = "document.documentElement.scrollWidth > innerWidth";
        assert_eq!(browser.value(is_wide).await, false, "{name}");
        browser.press(ESCAPE).await;
    }
    browser.view("").await;
    browser.until_text(".legend a[data-state=idle] b", "6").await;
    browser.value("document.querySelector('.cells canvas').focus()").await;
    browser.press(&RIGHT.repeat(4)).await;
    browser.until_text("#map-told", "中文站点").await;
    browser.close().await;
    site.run.stop();
}

//! How the page looks: themes, languages, a narrow window; and the keyboard alone.

use crate::browser::{Browser, DESKTOP, Look};
use crate::keys::{ENTER, ESCAPE, TAB};
use crate::site::Site;
use crate::wire::meter;

const GROUND: &str = "getComputedStyle(document.body).backgroundColor";
const IS_WIDE: &str = "document.documentElement.scrollWidth > innerWidth";
const VIEWS: [&str; 6] = ["", "fsus", "fsu/site", "unanswered", "messages", "events"];

#[tokio::test]
async fn light_and_dark_as_the_system_and_as_the_switch_say() {
    let site = Site::one(&[]);
    let browser = Browser::open(&site.url, DESKTOP).await;
    let light = browser.value(GROUND).await;
    browser.set_dark(true).await;
    let dark = browser.value(GROUND).await;
    assert_ne!(light, dark);
    browser.click("#theme").await;
    browser.until_text("#theme", "Light").await;
    assert_eq!(browser.value(GROUND).await, light);
    // The choice stays.
    browser.reload().await;
    assert_eq!(browser.value(GROUND).await, light);
    browser.click("#theme").await;
    browser.set_dark(false).await;
    assert_eq!(browser.value(GROUND).await, dark);
    browser.close().await;
    site.run.stop();
}

#[tokio::test]
async fn chinese_as_the_browser_and_as_the_switch_say() {
    let site = Site::one(&[]);
    let browser = Browser::open(&site.url, Look { language: "zh-CN", ..DESKTOP }).await;
    browser.until_text("#nav", "总览").await;
    assert_eq!(browser.value("document.documentElement.lang").await, "zh-CN");
    // No view shows the key of a text that is missing.
    for view in VIEWS {
        browser.view(view).await;
        browser.until("document.querySelector('main h1') !== null").await;
        let bare = "(document.body.innerText.match(/\\b(nav|rate|figure|fsu|state|column|message|trigger|device)\\.[a-z_]+/g) ?? []).join()";
        assert_eq!(browser.value(bare).await, "", "{view}");
    }
    browser.click("#language").await;
    browser.until_text("#nav", "Overview").await;
    assert_eq!(browser.value("document.documentElement.lang").await, "en");
    browser.close().await;
    site.run.stop();
}

#[tokio::test]
async fn nothing_is_wider_than_a_telephone() {
    let site = Site::one(&[]);
    let centre = site.centre();
    centre.ask(&meter(1, 5, &[0xAA, 0xBB, 0xCC, 0xDD]));
    centre.send(&meter(1, 0x77, &[0, 7]));
    for language in ["en-US", "zh-CN"] {
        let browser = Browser::open(&site.url, Look { width: 360, language, ..DESKTOP }).await;
        for (view, is_there) in VIEWS.into_iter().zip([
            "#figures dd",
            "#fleet a.fsu",
            "#actions",
            "#unanswered > *",
            "#messages td",
            "#events li",
        ]) {
            browser.view(view).await;
            browser.until(&format!("document.querySelector('{is_there}') !== null")).await;
            browser.value("document.querySelectorAll('details').forEach((one) => { one.open = true; })").await;
            assert_eq!(browser.value(IS_WIDE).await, false, "{language} {view}");
        }
        browser.close().await;
    }
    site.run.stop();
}

/// From the first Tab to an alarm at a centre, without a mouse.
#[tokio::test]
async fn everything_is_done_with_the_keyboard_alone() {
    let site = Site::one(&[]);
    let centre = site.centre();
    let browser = Browser::open(&site.url, DESKTOP).await;
    browser.press(TAB).await;
    assert_eq!(browser.value("document.activeElement.id").await, "skip");
    // What has the focus is seen to have it.
    browser.press(&TAB.repeat(2)).await;
    assert_eq!(browser.value("getComputedStyle(document.activeElement).outlineStyle").await, "solid");
    browser.press("/").await;
    browser.until("document.activeElement.id === 'search'").await;
    browser.press("sit").await;
    browser.until("location.hash === '#/fsus?name=sit'").await;
    browser.until_text("#where", "1–1 of 1").await;
    tab_to(&browser, "document.activeElement.matches('#fleet a.fsu')").await;
    browser.press(ENTER).await;
    browser.until("location.hash === '#/fsu/site'").await;
    browser.until("document.querySelector('#trigger') !== null").await;
    tab_to(&browser, "document.activeElement.id === 'trigger'").await;
    browser.press(ENTER).await;
    assert_eq!(centre.receive(), meter(0, 3, &[0x00, 0xAA]));
    browser.press(ESCAPE).await;
    browser.until("location.hash === '#/fsus'").await;
    // A dialog takes the focus, gives it back, and closes on Escape.
    browser.until("document.querySelector('#act') !== null").await;
    tab_to(&browser, "document.activeElement.id === 'act'").await;
    browser.press(ENTER).await;
    browser.until("document.querySelector('#bulk')?.contains(document.activeElement)").await;
    browser.press(ESCAPE).await;
    browser.until("document.querySelector('#bulk') === null && document.activeElement.id === 'act'").await;
    browser.close().await;
    site.run.stop();
}

/// Presses Tab until the focus is there: every control can be reached, in at most this many steps.
async fn tab_to(browser: &Browser, is_there: &str) {
    for _ in 0..60 {
        if browser.value(is_there).await == true {
            return;
        }
        browser.press(TAB).await;
    }
    panic!("not reached with Tab: {is_there}");
}

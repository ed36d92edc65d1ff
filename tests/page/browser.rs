//! A real browser: Chromium, by chromedriver. Both are needed; without them these tests fail.

use super::harness::PATIENCE;
use fantoccini::actions::{InputSource, KeyAction, KeyActions, MouseActions, PointerAction};
use fantoccini::elements::Element;
use fantoccini::error::{CmdError, ErrorStatus};
use fantoccini::wd::WebDriverCompatibleCommand;
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tokio::sync::{Mutex, MutexGuard};

/// One browser at a time: each is several processes.
static ONE: Mutex<()> = Mutex::const_new(());

/// How a page is looked at.
#[derive(Clone, Copy)]
pub(crate) struct Look {
    pub(crate) width: u32,
    pub(crate) is_dark: bool,
    pub(crate) language: &'static str,
}

/// A desktop, light, English.
pub(crate) const DESKTOP: Look = Look { width: 1280, is_dark: false, language: "en-US" };

/// chromedriver. Ending it does not end its browser: that is what the end of a session does.
struct Driver {
    child: Child,
    port: u16,
    session: Option<String>,
}

impl Driver {
    /// Starts it on a free port.
    fn start() -> Self {
        let needed = "the tests of the page need Chromium: apt-get install chromium chromium-driver";
        let mut child = Command::new("chromedriver")
            .arg("--port=0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect(needed);
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let mut driver = Self { child, port: 0, session: None };
        // ChromeDriver was started successfully on port 34567.
        let port = lines.by_ref().map_while(Result::ok).find_map(|line| {
            let port = line.split_once("successfully on port ")?.1;
            port.trim_end_matches('.').parse().ok()
        });
        std::thread::spawn(move || lines.count());
        driver.port = port.expect("chromedriver says its port");
        driver
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        if let Some(session) = &self.session {
            let _ = ureq::delete(format!("http://127.0.0.1:{}/session/{session}", self.port)).call();
        }
        let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        let _ = self.child.wait();
    }
}

/// A command of Chromium's own protocol.
#[derive(Debug)]
struct Cdp(&'static str, Value);

impl WebDriverCompatibleCommand for Cdp {
    fn endpoint(&self, base: &url::Url, session: Option<&str>) -> Result<url::Url, url::ParseError> {
        base.join(&format!("session/{}/goog/cdp/execute", session.unwrap_or_default()))
    }

    fn method_and_body(&self, _: &url::Url) -> (http::Method, Option<String>) {
        (http::Method::POST, Some(json!({"cmd": self.0, "params": self.1}).to_string()))
    }
}

/// A browser with one page.
pub(crate) struct Browser {
    client: Client,
    _driver: Driver,
    _one: MutexGuard<'static, ()>,
}

impl Browser {
    /// Opens it at that address, and waits for the first numbers.
    pub(crate) async fn open(url: &str, look: Look) -> Self {
        let browser = Self::open_only(url, look).await;
        browser.until("performance.getEntriesByName('first-numbers').length > 0").await;
        browser
    }

    /// Opens it at that address.
    pub(crate) async fn open_only(url: &str, look: Look) -> Self {
        let one = ONE.lock().await;
        let mut driver = Driver::start();
        let arguments =
            json!(["--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--no-first-run"]);
        let options = json!({"args": arguments, "prefs": {"intl.accept_languages": look.language}});
        let Value::Object(capabilities) = json!({"goog:chromeOptions": options}) else { unreachable!() };
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(capabilities)
            .connect(&format!("http://127.0.0.1:{}", driver.port))
            .await
            .expect("a session with Chromium");
        driver.session = client.session_id().await.expect("it has one");
        let browser = Self { client, _driver: driver, _one: one };
        browser.set_width(look.width).await;
        browser.set_dark(look.is_dark).await;
        browser.client.goto(url).await.expect("the page");
        browser
    }

    async fn cdp(&self, command: &'static str, parameters: Value) {
        self.client.issue_cmd(Cdp(command, parameters)).await.expect(command);
    }

    pub(crate) async fn set_width(&self, width: u32) {
        let size = json!({"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false});
        self.cdp("Emulation.setDeviceMetricsOverride", size).await;
    }

    pub(crate) async fn set_dark(&self, is_dark: bool) {
        let scheme = if is_dark { "dark" } else { "light" };
        let features = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.cdp("Emulation.setEmulatedMedia", features).await;
    }

    /// Loads the page again and waits for the first numbers.
    pub(crate) async fn reload(&self) {
        self.value("void (window.isOld = true)").await;
        self.client.refresh().await.expect("the page");
        self.until("!window.isOld && performance.getEntriesByName('first-numbers').length > 0").await;
    }

    /// Goes to another view, by its address.
    pub(crate) async fn view(&self, view: &str) {
        self.value(&format!("void (location.hash = '#/{view}')")).await;
    }

    /// The value of an expression in the page.
    pub(crate) async fn value(&self, expression: &str) -> Value {
        self.client.execute(&format!("return {expression}"), vec![]).await.expect(expression)
    }

    /// A text of the page: that of the first element that fits; empty if there is none.
    pub(crate) async fn text(&self, css: &str) -> String {
        let expression = format!("document.querySelector({})?.textContent ?? ''", json!(css));
        self.value(&expression).await.as_str().expect("a text").to_owned()
    }

    /// Waits until an expression of the page is true.
    pub(crate) async fn until(&self, expression: &str) {
        let deadline = Instant::now() + PATIENCE;
        while !is_true(&self.value(expression).await) {
            if Instant::now() > deadline {
                let page = self.value("document.body.innerText").await;
                panic!("never true: {expression}\n{}", page.as_str().unwrap_or_default());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until the element has this text in it.
    pub(crate) async fn until_text(&self, css: &str, text: &str) {
        let (css, text) = (json!(css), json!(text));
        self.until(&format!("document.querySelector({css})?.textContent.includes({text})")).await;
    }

    /// Waits for an element.
    async fn element(&self, css: &str) -> Element {
        self.client.wait().at_most(PATIENCE).for_element(Locator::Css(css)).await.expect(css)
    }

    /// Clicks as a mouse does. The page may build an element again between finding and clicking it.
    pub(crate) async fn click(&self, css: &str) {
        loop {
            match self.element(css).await.click().await {
                Ok(()) => return,
                Err(CmdError::Standard(error)) if error.error == ErrorStatus::StaleElementReference => {}
                Err(error) => panic!("{css}: {error}"),
            }
        }
    }

    /// Writes into a field in place of what it has.
    pub(crate) async fn write(&self, css: &str, text: &str) {
        let element = self.element(css).await;
        element.clear().await.expect(css);
        element.send_keys(text).await.expect(css);
    }

    /// Presses keys, wherever the focus is.
    pub(crate) async fn press(&self, keys: &str) {
        let actions = keys.chars().fold(KeyActions::new("keys".to_owned()), |actions, value| {
            actions.then(KeyAction::Down { value }).then(KeyAction::Up { value })
        });
        self.client.perform_actions(actions).await.expect("keys");
    }

    /// Moves the mouse to that place of an element, from its middle.
    pub(crate) async fn point(&self, css: &str, x: f64, y: f64) {
        let element = self.element(css).await;
        let step = PointerAction::MoveToElement { element, duration: None, x, y };
        let actions = MouseActions::new("mouse".to_owned()).then(step);
        self.client.perform_actions(actions).await.expect("a mouse");
    }

    /// Ends it.
    pub(crate) async fn close(self) {
        self.client.close().await.expect("it ends");
    }
}

fn is_true(value: &Value) -> bool {
    !matches!(value, Value::Null | Value::Bool(false)) && value != 0 && value != ""
}

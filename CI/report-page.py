"""Opens pages of reports in Chromium and uses them as a person would.

CI/report-page.py PAGE ...      pictures are written beside the pages: PAGE-WIDTH-SCHEME.png
"""

import base64
import json
import pathlib
import sys

from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

WIDTHS = (390, 820, 1400)


def browser() -> webdriver.Chrome:
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    # Of a container's root, Chromium asks for the second.
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    return webdriver.Chrome(options, webdriver.ChromeService("/usr/bin/chromedriver"))


class Page:
    def __init__(self, driver: webdriver.Chrome, path: pathlib.Path):
        self.driver, self.path = driver, path
        self.url = path.resolve().as_uri()

    def emulate(self, width: int, scheme: str = "light", height: int = 1000) -> None:
        self.driver.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600})
        self.driver.execute_cdp_cmd(
            "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]})

    def open(self, scripts: bool = True) -> None:
        self.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": not scripts})
        self.driver.get(self.url)

    def all(self, selector: str):
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def script(self, text: str, *arguments):
        return self.driver.execute_script(text, *arguments)

    def click(self, element) -> None:
        # Else it may be under what stays at the top.
        self.script("arguments[0].scrollIntoView({block: 'center'})", element)
        element.click()

    def requests(self) -> list[str]:
        """Whatever the page asked for since the last call."""
        messages = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        return [
            message["params"]["request"]["url"] for message in messages
            if message["method"] == "Network.requestWillBeSent"]


def check_reading(page: Page) -> None:
    """Without scripts all is there, and nothing is shown that needs them."""
    page.emulate(1400)
    page.open(scripts=False)
    assert page.all("h1")[0].text, "no headline"
    assert all(article.is_displayed() for article in page.all("article.finding"))
    assert not any(element.is_displayed() for element in page.all(".filters, .command button"))


def check_links(page: Page) -> None:
    for link in page.all("a[href]"):
        target = link.get_attribute("href")
        assert target.startswith(page.url + "#"), f"leads away: {target}"
        name = target.split("#", 1)[1]
        assert page.script("return document.getElementById(decodeURIComponent(arguments[0])) !== null", name), name


def check_filters(page: Page) -> None:
    def shown():
        return [article.get_attribute("id") for article in page.all("article.finding") if article.is_displayed()]

    form = page.all("form[data-items='article.finding']")
    if not form:
        return
    everything = shown()
    assert len(everything) == len(page.all("#table-of-findings tbody tr")) > 0
    search = form[0].find_element(By.CSS_SELECTOR, "input[type=search]")
    search.send_keys("no finding says this")
    assert shown() == []
    assert form[0].find_element(By.CSS_SELECTOR, "output").text == f"0 of {len(everything)}"
    # A link shows what it points to, whatever is filtered.
    link = page.all("#table-of-findings a")[0]
    page.click(link)
    assert shown() == [link.get_attribute("href").split("#")[1]]
    search.clear()
    search.send_keys(page.all("article.finding h3")[0].get_attribute("textContent").split(". ", 1)[1][:12])
    assert len(shown()) >= 1
    search.clear()
    search.send_keys(" ")
    assert shown() == everything
    device = form[0].find_element(By.CSS_SELECTOR, "[data-key=device]")
    device.find_elements(By.TAG_NAME, "option")[1].click()
    chosen = device.get_attribute("value")
    assert shown() == [
        article.get_attribute("id") for article in page.all("article.finding")
        if chosen in article.get_attribute("data-device").split("\n")]


def check_sorting(page: Page) -> None:
    def values():
        return [float(cell.get_attribute("data-value")) for cell in page.all("#table-of-places tbody td:nth-child(2)")]

    button = page.all("#table-of-places th:nth-child(2) button")[0]
    page.click(button)
    assert values() == sorted(values(), reverse=True), "not sorted by the first click"
    page.click(button)
    assert values() == sorted(values()), "not turned round by the second"


def check_copying(page: Page) -> None:
    for command in page.all(".command")[:1]:
        button = command.find_element(By.TAG_NAME, "button")
        page.click(button)
        WebDriverWait(page.driver, 60).until(lambda _: button.text in ("copied", "selected"))


def check_widths(page: Page) -> None:
    for width in WIDTHS:
        for scheme in ("light", "dark"):
            page.emulate(width, scheme)
            page.open()
            content = page.script("return document.documentElement.scrollWidth")
            assert content <= width, f"{width} wide, the page is {content}"
            height = page.script("return document.documentElement.scrollHeight")
            page.emulate(width, scheme, min(height, 6000))
            picture = page.driver.execute_cdp_cmd("Page.captureScreenshot", {"format": "png"})
            path = page.path.with_name(f"{page.path.stem}-{width}-{scheme}.png")
            path.write_bytes(base64.b64decode(picture["data"]))
            back = page.script("return getComputedStyle(document.body).backgroundColor").strip("rgb()").split(",")
            assert (int(back[0]) < 128) == (scheme == "dark"), f"{scheme}: {back}"


def main() -> None:
    driver = browser()
    try:
        for path in map(pathlib.Path, sys.argv[1:]):
            page = Page(driver, path)
            check_reading(page)
            page.open()
            for check in (check_links, check_sorting, check_copying, check_filters):
                check(page)
            check_widths(page)
            away = [url for url in page.requests() if not url.startswith((page.url, "data:"))]
            assert not away, f"asks for {away}"
            said = driver.get_log("browser")
            assert not said, f"the console says {said}"
            print(f"{path}: links, filters, sorting, copying, {len(WIDTHS)} widths, light and dark")
    finally:
        driver.quit()


if __name__ == "__main__":
    main()

"""A headless Chromium: what it shows, what it complains of and whom it asks."""

from __future__ import annotations

import io
import json
import os
import shutil
from typing import Any, List

import numpy as np
import pytest

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
NEEDS_CHROMIUM = pytest.mark.skipif(
    not (CHROMIUM and DRIVER), reason="chromium and chromedriver are not here (Debian: chromium, chromium-driver)"
)

# How far a colour on the screen may be from the style's: the sum over red, green and blue.
NEAR = 40


def start() -> Any:
    webdriver = pytest.importorskip("selenium.webdriver")
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for word in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--hide-scrollbars"):
        options.add_argument(word)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    driver.set_script_timeout(20)
    return driver


def show(browser: Any, address: str) -> None:
    """Opens a page, with nothing left of the one before."""
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": []})
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    browser.set_window_size(1000, 900)
    browser.get("about:blank")
    for log in ("browser", "performance"):
        browser.get_log(log)
    browser.get(address)


def darken(browser: Any) -> None:
    wish = {"features": [{"name": "prefers-color-scheme", "value": "dark"}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", wish)


def narrow(browser: Any) -> None:
    """Makes it a phone."""
    phone = {"width": 360, "height": 740, "deviceScaleFactor": 2, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", phone)


def complaints(browser: Any) -> List[str]:
    return [entry["message"] for entry in browser.get_log("browser")]


def requests(browser: Any) -> List[str]:
    """The addresses asked for since the page was opened, but for what the page carries itself."""
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    sent = [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]
    return [url for url in sent if not url.startswith("data:")]


def picture(browser: Any, selector: str) -> np.ndarray:
    """A screenshot of one element, [width, height, 3]."""
    os.environ["PYGAME_HIDE_SUPPORT_PROMPT"] = "1"
    import pygame

    element = browser.find_element("css selector", selector)
    return pygame.surfarray.array3d(pygame.image.load(io.BytesIO(element.screenshot_as_png), "a.png"))


def share_of(pixels: np.ndarray, colour: Any) -> float:
    return float((np.abs(pixels.astype(int) - colour).sum(axis=2) < NEAR).mean())

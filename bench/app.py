"""The app that is measured: tasks that do nothing, in a program that imports something."""

from __future__ import annotations

import ast
import csv
import decimal
import email.message
import html.parser
import http.client
import json
import logging.config
import sqlite3
import time
import tokenize
import urllib.request
import xml.etree.ElementTree as ET
import zipfile

from wsup import App

#: Modules of some weight, as the memory of a subworker is about what an app has imported.
IMPORTED = (
    ast, csv, decimal, email.message, html.parser, http.client, json, logging.config, sqlite3,
    tokenize, urllib.request, ET, zipfile,
)  # fmt: skip

app = App()
app.queue("fair", fair=True)


@app.task
def noop(number: int) -> None:
    """Nothing, but its argument is sent, checked and decoded as every argument is."""


@app.task
def limited(number: int) -> None:
    """As `noop`; the harness sets how many run at once."""


@app.task
def paced(number: int) -> None:
    """As `noop`; the harness sets how many start in a second."""


@app.task
def stamp() -> int:
    """When it was started: CLOCK_MONOTONIC is one for all processes."""
    return time.monotonic_ns()

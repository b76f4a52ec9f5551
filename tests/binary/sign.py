"""Signs callbacks with Twilio's own library.

Reads JSON lines {"token", "url", "params": [[name, value], ...], "method"} and answers each with a JSON line {"url", "body", "signature"}:
what to send where. Of a GET, the parameters go into the URL and the body is null.
"""

import json
import sys
from urllib.parse import urlencode

from twilio.request_validator import RequestValidator


class Form(dict):
    """A form with several values a name, as web frameworks hand it to the library."""

    def __init__(self, pairs):
        super().__init__()
        for name, value in pairs:
            self.setdefault(name, []).append(value)

    def getlist(self, name):
        return self[name]


for line in sys.stdin:
    request = json.loads(line)
    validator = RequestValidator(request["token"])
    pairs = [tuple(pair) for pair in request["params"]]
    url, body, params = request["url"], urlencode(pairs), Form(pairs)
    if request["method"] == "GET":
        url, body, params = f"{url}{'&' if '?' in url else '?'}{body}", None, {}
    signature = validator.compute_signature(url, params)
    assert validator.validate(url, params, signature)
    print(json.dumps({"url": url, "body": body, "signature": signature}), flush=True)

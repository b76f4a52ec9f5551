"""What a schema cannot say, for schemathesis: which things there are, and what must fit together.

Only requests that are meant to be valid are touched, and only where they could not be: a cursor
that no list gave, a purpose that the policy has not, an end before its beginning. What there is
stands as JSON in the file that the variable RECVAULT_FIXTURES names.
"""

import itertools
import json
import os
import uuid

import schemathesis

FIXTURES = json.load(open(os.environ["RECVAULT_FIXTURES"]))
TURN = {}


def next_of(name):
    """One of the things of this name, each in its turn."""
    TURN.setdefault(name, itertools.cycle(FIXTURES[name]))
    return next(TURN[name])


# What stands at a place in a path; every fourth is left as it was made up.
PLACES = {
    ("/v1/recordings/", "id"): "recordings",
    ("/v1/calls/", "sid"): "calls",
    ("/v1/media/", "token"): "tokens",
    ("/v1/receipts/", "id"): "receipts",
    ("/v1/revocations/", "id"): "revocations",
    ("/v1/policies/", "version"): "versions",
    ("/privacy/", "version"): "versions",
}
COUNT = itertools.count()


@schemathesis.hook
def before_call(context, case, kwargs):
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return
    path = case.operation.path
    for (prefix, name), things in PLACES.items():
        if path.startswith(prefix) and name in (case.path_parameters or {}) and next(COUNT) % 4:
            # Some things are gone after this; they go last in the list.
            kind = "mortal" if case.method == "DELETE" and path == "/v1/recordings/{id}" else things
            case.path_parameters[name] = next_of(kind)
    query = case.query or {}
    # A cursor is of a list with the same order and filters: it is asked for with none.
    if "cursor" in query and path in FIXTURES["cursors"]:
        for name in set(query) - {"limit"}:
            del query[name]
        query["cursor"] = FIXTURES["cursors"][path]
    elif "cursor" in query:
        del query["cursor"]
    if path == "/v1/audit" and query.get("order") == "newest":
        query.pop("after", None)
    if len({label.split(":")[0] for label in query.get("label") or []}) < len(query.get("label") or []):
        # Each is named once.
        query["label"] = query["label"][:1]
    if "Idempotency-Key" in (case.headers or {}):
        # A key that was used for another request is refused.
        case.headers["Idempotency-Key"] = str(uuid.uuid4())
    if isinstance(case.body, dict):
        case.body = whole(case.body)
        fit(path, case.body)


def whole(value):
    """Writes 1.0 as 1: the same number to a schema, and not to everybody who reads JSON."""
    if isinstance(value, dict):
        return {name: whole(member) for name, member in value.items()}
    if isinstance(value, list):
        return [whole(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def fit(path, body):
    """Makes the members of a body fit the policy and each other."""
    if path.endswith("/search"):
        body.pop("cursor", None)
        labels = {label.split(":")[0]: label for label in body.get("label") or []}
        if labels:
            body["label"] = list(labels.values())
    if path == "/v1/revocations" and body.get("purposes"):
        # Only what rests on consent can be withdrawn from.
        body["purposes"] = ["training"]
    elif body.get("purposes"):
        body["purposes"] = FIXTURES["purposes"][: len(body["purposes"])]
    if "purpose" in body:
        body["purpose"] = next_of("purposes")
    if path.endswith("/holds/{name}"):
        # Holds are placed for some purposes only.
        body["purpose"] = "legal-request"
    if isinstance(body.get("policy_version"), str):
        body["policy_version"] = next_of("versions")
    if path == "/v1/consents" and isinstance(body.get("at"), str):
        body["at"] = "2026-01-31T15:04:05Z"
    if "review_at" in body:
        body["review_at"] = "2099-01-31T15:04:05Z"
    if "authority" in body:
        body["authority"] = f"court {body['authority']}"[:200].strip()
    if path == "/v1/recordings/{id}" and (body.get("labels") or body.get("parties")):
        # Labels are the policy's, and who is put right was named before.
        body["labels"] = {}
        body["parties"] = [{"leg": "caller", "number": "+493076543201"}]
    if isinstance(body.get("parties"), list):
        # A place is named once, whoever is there.
        body["parties"] = list({party["leg"]: party for party in body["parties"]}.values())
    for sentence in body.get("sentences", []):
        for spoken in [sentence, *sentence.get("words", [])]:
            spoken["end_ms"] = max(spoken["start_ms"], spoken["end_ms"])

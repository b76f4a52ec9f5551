"""Asks a Twilio, wherever it is, with Twilio's own library.

Reads one JSON object: {"base", "account", "token", and the SIDs to ask for}. Prints one JSON object: what the library made of each answer.
The library knows its hosts by heart; its own HTTP client is told another address for them.
"""

import datetime
import json
import sys

from twilio.base.exceptions import TwilioRestException
from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client


class Elsewhere(TwilioHttpClient):
    """The library's HTTP client, led to another address."""

    def __init__(self, base):
        super().__init__(timeout=20)
        self.session.trust_env = False
        self.base = base

    def request(self, method, url, *args, **kwargs):
        for host in ("https://api.twilio.com", "https://intelligence.twilio.com"):
            if url.startswith(host + "/"):
                url = self.base + url[len(host) :]
        assert url.startswith(self.base + "/"), url
        return super().request(method, url, *args, **kwargs)


def failure(do):
    """The error that the library makes of an answer."""
    try:
        do()
    except TwilioRestException as error:
        return {"status": error.status, "code": error.code, "message": error.msg, "method": error.method}
    return None


def fields(instance, *names):
    """Fields of a resource: as they are, times as seconds since 1970."""

    def plain(value):
        return value.timestamp() if isinstance(value, datetime.datetime) else value

    return {name: plain(getattr(instance, name)) for name in names}


given = json.load(sys.stdin)
http = Elsewhere(given["base"])
client = Client(given["account"], given["token"], http_client=http)
told = {}

own = client.api.v2010.accounts(given["account"]).fetch()
told["account"] = fields(own, "sid", "status", "owner_account_sid", "type", "date_created")
told["accounts"] = [account.sid for account in client.api.v2010.accounts.list()]
child = Client(given["account"], given["token"], given["subaccount"], http_client=http)
told["of_subaccount"] = [recording.sid for recording in child.recordings.list()]

since = datetime.datetime.fromtimestamp(given["since"], datetime.timezone.utc)
told["recordings"] = [recording.sid for recording in client.recordings.list(page_size=2)]
told["limited"] = [recording.sid for recording in client.recordings.list(page_size=2, limit=3)]
told["recent"] = [recording.sid for recording in client.recordings.list(date_created_after=since)]
told["earlier"] = [recording.sid for recording in client.recordings.list(date_created_before=since)]
told["of_call"] = [recording.sid for recording in client.recordings.list(call_sid=given["call"])]
recording = client.recordings(given["recording"])
names = "sid account_sid call_sid conference_sid duration channels status source error_code price price_unit start_time date_created media_url"
told["recording"] = fields(recording.fetch(), *names.split())
told["encryption"] = client.recordings(given["encrypted"]).fetch().encryption_details
listed = f"https://api.twilio.com/2010-04-01/Accounts/{given['account']}/Recordings.json"
told["page_alone"] = client.request("GET", f"{listed}?Page=2").status_code

call = client.calls(given["call"]).fetch()
told["call"] = fields(call, "sid", "_from", "to", "direction", "status", "caller_name", "parent_call_sid", "duration", "start_time", "end_time")
told["legs"] = [fields(leg, "sid", "to", "parent_call_sid") for leg in client.calls.list(parent_call_sid=given["call"])]
conference = client.conferences(given["conference"])
told["conference"] = fields(conference.fetch(), "sid", "friendly_name", "status")
told["participants"] = [
    fields(one, "call_sid", "label", "conference_sid", "status", "start_conference_on_enter", "muted")
    for one in conference.participants.list(page_size=1)
]
told["numbers"] = [fields(number, "phone_number", "voice_url", "status") for number in client.incoming_phone_numbers.list()]

live = client.calls(given["live"]).recordings
begun = live.create(recording_channels="dual", recording_status_callback="https://vault.example/r", recording_status_callback_event=["completed", "absent"])
told["begun"] = fields(begun, "sid", "status", "channels", "track", "source", "duration")
told["paused"] = live("Twilio.CURRENT").update(status="paused", pause_behavior="skip").status
told["stopped"] = live(begun.sid).update(status="stopped").status
told["undeletable"] = failure(lambda: client.recordings(begun.sid).delete())
told["stopped_twice"] = failure(lambda: live(begun.sid).update(status="stopped"))

told["transcriptions"] = [fields(one, "sid", "status", "transcription_text", "recording_sid", "type") for one in recording.transcriptions.list()]
told["all_transcriptions"] = [one.sid for one in client.transcriptions.list(page_size=1)]
first, second = told["all_transcriptions"]
told["transcriptions_deleted"] = [recording.transcriptions(first).delete(), client.transcriptions(second).delete()]
told["add_ons"] = [fields(one, "sid", "status", "reference_sid") for one in recording.add_on_results.list()]
told["add_on"] = recording.add_on_results(told["add_ons"][0]["sid"]).fetch().status
told["add_on_deleted"] = recording.add_on_results(told["add_ons"][0]["sid"]).delete()

transcripts = client.intelligence.v2.transcripts
told["transcripts"] = [one.sid for one in transcripts.list(source_sid=given["recording"], page_size=1)]
transcript = transcripts(given["transcript"])
told["transcript"] = fields(transcript.fetch(), "sid", "status", "channel", "duration", "language_code", "redaction", "customer_key", "media_start_time")
told["sentences"] = [
    fields(one, "media_channel", "sentence_index", "start_time", "end_time", "transcript", "confidence", "words")
    for one in transcript.sentences.list(redacted=False, word_timestamps=True, page_size=2)
]
told["redacted"] = [one.transcript for one in transcript.sentences.list()]
told["transcript_deleted"] = transcript.delete()
told["transcript_gone"] = failure(transcript.fetch)

told["deleted"] = recording.delete()
told["deleted_twice"] = failure(recording.delete)
told["gone"] = failure(recording.fetch)
told["left"] = fields(recording.fetch(include_soft_deleted=True), "sid", "status", "duration")
told["with_deleted"] = [one.sid for one in client.recordings.list(include_soft_deleted=True, page_size=2)]
told["wrong_token"] = failure(lambda: Client(given["account"], "wrong", http_client=http).recordings(given["recording"]).fetch())
print(json.dumps(told))

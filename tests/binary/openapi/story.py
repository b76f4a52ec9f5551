"""The whole story of one recording, told with a client that openapi-python-client made.

Arguments: the service's address, a bearer token, the recording's id, the file with its sound.
"""

import sys

from made import AuthenticatedClient, Client
from made.api.consent import list_call_parties, name_call_parties, record_consents, search_consents
from made.api.media import get_audio
from made.api.operators import get_problem_type
from made.api.receipts import get_receipt, get_receipt_keys
from made.api.recordings import create_grant, get_recording, list_recordings
from made.api.revocations import create_revocation, get_revocation
from made.models import (
    Answer,
    GrantRequest,
    Method,
    PartiesRequest,
    PartyRequest,
    RecordingState,
    RevocationRequest,
    SearchRequest,
    StatementRequest,
)

base, token, recording_id, sound = sys.argv[1:]
PERSON = "+493076543201"
team = AuthenticatedClient(base_url=base, token=token)
anybody = Client(base_url=base)

listed = list_recordings.sync(client=team, state=RecordingState.SEALED)
assert [item.id for item in listed.items] == [recording_id], listed
recording = get_recording.sync(recording_id, client=team)
assert recording.state == RecordingState.SEALED and recording.account_sid.startswith("AC")

# Who took part, and what they said.
party = PartyRequest(leg="caller", number=PERSON)
name_call_parties.sync(recording.call_sid, client=team, body=PartiesRequest(parties=[party]))
parties = list_call_parties.sync(recording.call_sid, client=team).parties
assert [(each.leg, each.known) for each in parties if each.leg == "caller"] == [("caller", True)]
said = StatementRequest(subject=PERSON, answer=Answer.GIVEN, method=Method.CONTRACT, purposes=["training"])
assert record_consents.sync(client=team, body=said).recorded == 1
statements = search_consents.sync(client=team, body=SearchRequest(subject=PERSON)).items
assert [statement.answer for statement in statements] == [Answer.GIVEN]

# A grant, and the sound under it.
grant = create_grant.sync(recording_id, client=team, body=GrantRequest(purpose="quality-review"))
assert grant.view.value == "audio" and grant.audio_url, grant
secret = grant.audio_url.split("/")[-2]
whole = get_audio.sync(secret, client=anybody).payload.read()
assert whole == open(sound, "rb").read()
part = get_audio.sync(secret, client=anybody, range_="bytes=44-").payload.read()
assert part == whole[44:]

# The person is forgotten.
revoked = create_revocation.sync(client=team, body=RevocationRequest(subject=PERSON, reason="subject-request"))
revoked = get_revocation.sync(revoked.id, client=team)
assert revoked.state.value == "done" and revoked.counts.shredded == 1, revoked
receipt = get_receipt.sync(revoked.receipts[0], client=anybody)
assert receipt.count(".") == 2, receipt
assert get_receipt_keys.sync(client=anybody).keys

# What is gone says so, in a form that programs read.
problem = create_grant.sync(recording_id, client=team, body=GrantRequest(purpose="quality-review"))
assert problem.status == 410 and problem.receipt_id == revoked.receipts[0], problem
page = get_problem_type.sync(problem.type_.value.rsplit("/", 1)[-1], client=anybody)
assert "Shredded" in page
print("told")

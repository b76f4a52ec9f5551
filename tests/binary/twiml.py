"""Holds TwiML against what Twilio's own library writes for the same.

Reads JSON lines {"ours": TwiML, "theirs": [[verb, attributes, text, [children]], ...]}. Builds `theirs` with `twilio.twiml`, reads both with Python's
XML parser, and answers each with a JSON line {"same": bool, "ours", "theirs"}.
"""

import json
import sys
import xml.etree.ElementTree as ElementTree

from twilio.twiml.messaging_response import MessagingResponse
from twilio.twiml.voice_response import Dial, Gather, Start, VoiceResponse


def fill(parent, verbs):
    for verb, attributes, text, children in verbs:
        if verb == "Gather":
            child = Gather(**attributes)
            parent.append(child)
        elif verb == "Start":
            child = Start(**attributes)
            parent.append(child)
        elif verb == "Dial":
            child = Dial(**attributes)
            parent.append(child)
        else:
            arguments = [text] if text is not None else []
            child = getattr(parent, verb.lower())(*arguments, **attributes)
        fill(child, children)


def plain(node):
    return [node.tag, sorted(node.attrib.items()), node.text, [plain(child) for child in node]]


for line in sys.stdin:
    case = json.loads(line)
    is_message = any(verb[0] == "Message" for verb in case["theirs"])
    response = MessagingResponse() if is_message else VoiceResponse()
    fill(response, case["theirs"])
    ours, theirs = plain(ElementTree.fromstring(case["ours"].encode())), plain(ElementTree.fromstring(str(response).encode()))
    print(json.dumps({"same": ours == theirs, "ours": ours, "theirs": theirs}), flush=True)

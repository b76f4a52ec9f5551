// The whole story of one recording, told with the types that openapi-typescript made.
//
// Arguments: the service's address, a bearer token, the recording's id, the file with its sound.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import createClient from "openapi-fetch";
import type { components, paths } from "./made.js";

const [base, token, id, sound] = process.argv.slice(2) as [string, string, string, string];
const person = "+493076543201";
const team = createClient<paths>({ baseUrl: base, headers: { Authorization: `Bearer ${token}` } });
const anybody = createClient<paths>({ baseUrl: base });

const listed = await team.GET("/v1/recordings", { params: { query: { state: "sealed" } } });
assert.deepEqual(listed.data?.items.map((item) => item.id), [id]);
const { data: recording } = await team.GET("/v1/recordings/{id}", { params: { path: { id } } });
const sid = recording?.call_sid;
assert(sid);

// Who took part, and what they said.
const parties: components["schemas"]["PartiesRequest"] = { parties: [{ leg: "caller", number: person }] };
const named = await team.POST("/v1/calls/{sid}/parties", { params: { path: { sid } }, body: parties });
assert(named.data?.parties.some((party) => party.leg === "caller" && party.known));
const statement = { subject: person, answer: "given", method: "contract", purposes: ["training"] } as const;
const recorded = await team.POST("/v1/consents", { body: { ...statement, purposes: [...statement.purposes] } });
assert.equal(recorded.data?.recorded, 1);

// A grant, and the sound under it.
const path = { id };
const { data: grant } = await team.POST("/v1/recordings/{id}/grants", { params: { path }, body: { purpose: "quality-review" } });
assert(grant?.audio_url);
const secret = grant.audio_url.split("/").at(-2);
assert(secret);
const audio = await anybody.GET("/v1/media/{token}/audio.wav", { params: { path: { token: secret } }, parseAs: "arrayBuffer" });
assert(audio.data);
assert(Buffer.from(audio.data as unknown as ArrayBuffer).equals(readFileSync(sound)));

// The person is forgotten.
const revoked = await team.POST("/v1/revocations", { body: { subject: person, reason: "subject-request" } });
const revocation = revoked.data?.id;
assert(revocation);
const done = await team.GET("/v1/revocations/{id}", { params: { path: { id: revocation } } });
assert.equal(done.data?.state, "done");
assert.equal(done.data.counts.shredded, 1);
const first = done.data.receipts[0];
assert(first);
const receipt = await anybody.GET("/v1/receipts/{id}", { params: { path: { id: first } }, parseAs: "text" });
assert.equal(receipt.data?.split(".").length, 3);

// What is gone says so, in a form that programs read.
const again = await team.POST("/v1/recordings/{id}/grants", { params: { path }, body: { purpose: "quality-review" } });
const problem: components["schemas"]["Problem"] | undefined = again.error;
assert.equal(problem?.status, 410);
assert.equal(problem?.type, "/problems/shredded");
assert.equal(problem?.receipt_id, first);
console.log("told");

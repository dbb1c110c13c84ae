#!/usr/bin/env python3
"""Reads the verifying AWS's book of calls: what was asked, by whom, and with whose keys.

    what_aws_saw.py calls.jsonl                         prints a summary
    what_aws_saw.py calls.jsonl --never AKIA…           also fails if that key reached AWS
    what_aws_saw.py calls.jsonl --after 120 --all-refused AKIA…   fails unless AWS refused all of these, and all are that key's
"""

import argparse
import json
import re
import sys
from collections import Counter
from pathlib import Path


def main():
    """Reads, prints, judges."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("calls", type=Path)
    parser.add_argument("--after", type=int, default=0, help="only calls after this number")
    parser.add_argument("--never", help="an access key id that must not have been used")
    parser.add_argument("--all-refused", help="the access key id of calls that must all have been refused")
    arguments = parser.parse_args()
    calls = [json.loads(line) for line in arguments.calls.read_text().splitlines()][arguments.after :]
    summarise(calls)
    if not calls:
        sys.exit("AWS saw no call")
    if arguments.never:
        judge_countersigned(calls, arguments.never)
    if arguments.all_refused:
        judge_refused(calls, arguments.all_refused)


def summarise(calls: list[dict]):
    """A line per service and kind of payload."""
    exchanges = [call for call in calls if call["operation"] == "AssumeRoleWithWebIdentity"]
    for call in exchanges:
        told = call["details"]
        print(f"  sts  AssumeRoleWithWebIdentity {call['verdict']}: {told.get('role_arn')} for {told.get('source_identity') or told.get('subject')}")
    counts = Counter((call.get("service") or "?", payload_of(call), call["verdict"]) for call in calls if call not in exchanges)
    for (service, payload, verdict), count in sorted(counts.items()):
        print(f"  {service:9} {count:4} calls {verdict}{payload}")
    for key, caller in sorted({(call["access_key_id"], call.get("caller", "nobody")) for call in calls if "access_key_id" in call}):
        print(f"  key {key} is {caller}")


def payload_of(call: dict) -> str:
    """How the body was signed."""
    payload = call.get("payload")
    if payload is None:
        return ""
    return ", body by its hash" if re.fullmatch("[0-9a-f]{64}", payload) else f", {payload}"


def judge_countersigned(calls: list[dict], placeholder: str):
    """Every call was signed with the keys of a session, and none with the placeholder."""
    for call in calls:
        key = call.get("access_key_id")
        if key == placeholder:
            sys.exit(f"the placeholder has reached AWS: {call['operation']}")
        if call["verdict"] == "refused":
            sys.exit(f"AWS refused {call['operation']}: {call.get('code')}: {call.get('message')}")
        if not (key or "").startswith("ASIA") or "caller" not in call:
            sys.exit(f"not signed with a session's key: {call['operation']} by {key}")
    print(f"  all {len(calls)} calls are signed with keys of a session; the placeholder {placeholder} was never seen")


def judge_refused(calls: list[dict], placeholder: str):
    """The control: with placeholders, AWS lets nobody in."""
    for call in calls:
        if call["verdict"] != "refused" or call.get("access_key_id") != placeholder:
            sys.exit(f"not refused: {call['operation']} by {call.get('access_key_id')}")
    print(f"  all {len(calls)} calls are signed with the placeholder, and refused")


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""A tour of SQS with boto3: a queue, a message there and back."""

import sys
import uuid

import boto3


def expect(what: str, good: bool):
    """Ends the tour at the first thing that is not as it should be."""
    if not good:
        sys.exit(f"MISMATCH: {what}")
    print(f"  {what}")


def main():
    """The whole tour, in a queue of its own."""
    sqs = boto3.client("sqs")
    name = f"tour-{uuid.uuid4().hex[:12]}"
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    body = "one order: 42 × “Größe” & more"
    sqs.send_message(QueueUrl=url, MessageBody=body)
    messages = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=1).get("Messages", [])
    expect(f"queue {name}: message sent and received", [message["Body"] for message in messages] == [body])
    sqs.delete_message(QueueUrl=url, ReceiptHandle=messages[0]["ReceiptHandle"])
    sqs.delete_queue(QueueUrl=url)
    expect("queue deleted", url not in sqs.list_queues().get("QueueUrls", []))


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""A tour of DynamoDB with boto3: a table, an item, a condition that fails, a query."""

import sys
import uuid

import boto3


def expect(what: str, good: bool):
    """Ends the tour at the first thing that is not as it should be."""
    if not good:
        sys.exit(f"MISMATCH: {what}")
    print(f"  {what}")


def main():
    """The whole tour, in a table of its own."""
    dynamodb = boto3.client("dynamodb")
    table = f"tour-{uuid.uuid4().hex[:12]}"
    dynamodb.create_table(
        TableName=table,
        KeySchema=[{"AttributeName": "order", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "order", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    item = {"order": {"S": "Größe 42 + 1"}, "price": {"N": "19.5"}}
    dynamodb.put_item(TableName=table, Item=item)
    got = dynamodb.get_item(TableName=table, Key={"order": item["order"]}, ConsistentRead=True)
    expect(f"table {table}: item put and got", got["Item"] == item)
    try:
        dynamodb.put_item(TableName=table, Item=item, ConditionExpression="attribute_not_exists(#o)", ExpressionAttributeNames={"#o": "order"})
        expect("a failed condition is an error", False)
    except dynamodb.exceptions.ConditionalCheckFailedException:
        expect("a failed condition is an error", True)
    found = dynamodb.query(TableName=table, KeyConditionExpression="#o = :o", ExpressionAttributeNames={"#o": "order"}, ExpressionAttributeValues={":o": item["order"]})
    expect("query finds 1 item", found["Items"] == [item])
    dynamodb.delete_table(TableName=table)
    expect("table deleted", table not in dynamodb.list_tables()["TableNames"])


if __name__ == "__main__":
    main()

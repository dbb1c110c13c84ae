// A tour of S3, DynamoDB, SQS and STS with the AWS SDK for JavaScript v3: each thing compared with what was put.

import { createHash, randomBytes, randomUUID } from "node:crypto";
import { Readable } from "node:stream";
import { CreateTableCommand, DeleteTableCommand, DynamoDBClient, GetItemCommand, PutItemCommand } from "@aws-sdk/client-dynamodb";
import {
  CopyObjectCommand,
  CreateBucketCommand,
  DeleteBucketCommand,
  DeleteObjectCommand,
  DeleteObjectsCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
} from "@aws-sdk/client-s3";
import { CreateQueueCommand, DeleteQueueCommand, ReceiveMessageCommand, SendMessageCommand, SQSClient } from "@aws-sdk/client-sqs";
import { GetCallerIdentityCommand, STSClient } from "@aws-sdk/client-sts";
import { Upload } from "@aws-sdk/lib-storage";

const MIB = 1024 * 1024;
const LARGE_BYTES = 64 * MIB;
const ODD_KEYS = ["with spaces.txt", "a+b.txt", "a=b&c.txt", "double//slash.txt", "/leading//slash.txt", "grüße/日本語.txt", "100%.txt", "semi;colon,comma.txt", "~tilde'(quote)!*.txt"];

const config = { region: "us-east-1" };

const expect = (what, good) => {
  if (!good) {
    throw new Error(`MISMATCH: ${what}`);
  }
  console.log(`  ${what}`);
};

const sha256 = async (pieces) => {
  const hash = createHash("sha256");
  for await (const piece of pieces) {
    hash.update(piece);
  }
  return hash.digest("hex");
};

const small = async (s3, Bucket) => {
  await s3.send(new PutObjectCommand({ Bucket, Key: "greeting", Body: "hello", Metadata: { "two-spaces": "a  b" } }));
  const got = await s3.send(new GetObjectCommand({ Bucket, Key: "greeting" }));
  expect("5 bytes put and got", (await got.Body.transformToString()) === "hello");
  const range = await s3.send(new GetObjectCommand({ Bucket, Key: "greeting", Range: "bytes=1-3" }));
  expect("a range of 3 bytes got", (await range.Body.transformToString()) === "ell");
  await s3.send(new CopyObjectCommand({ Bucket, Key: "copied greeting", CopySource: `${Bucket}/greeting` }));
  const copied = await s3.send(new GetObjectCommand({ Bucket, Key: "copied greeting" }));
  expect("5 bytes copied and got", (await copied.Body.transformToString()) === "hello");
};

// In parts, by the SDK's own manager of uploads, and in one stream that nobody has hashed before.
const large = async (s3, Bucket) => {
  const body = randomBytes(LARGE_BYTES);
  const digest = await sha256([body]);
  await new Upload({ client: s3, params: { Bucket, Key: "large", Body: Readable.from(body) }, partSize: 8 * MIB }).done();
  const got = await s3.send(new GetObjectCommand({ Bucket, Key: "large" }));
  expect("64 MiB put in parts and got", (await sha256(got.Body)) === digest);
  await s3.send(new PutObjectCommand({ Bucket, Key: "stream", Body: Readable.from(body), ContentLength: LARGE_BYTES }));
  const stream = await s3.send(new GetObjectCommand({ Bucket, Key: "stream" }));
  expect("64 MiB put in one stream and got", (await sha256(stream.Body)) === digest);
};

const oddKeys = async (s3, Bucket) => {
  const keys = async (Prefix) => ((await s3.send(new ListObjectsV2Command({ Bucket, Prefix }))).Contents ?? []).map(({ Key }) => Key);
  for (const Key of ODD_KEYS) {
    await s3.send(new PutObjectCommand({ Bucket, Key, Body: Key }));
    const got = await s3.send(new GetObjectCommand({ Bucket, Key }));
    const same = (await got.Body.transformToString()) === Key;
    const listed = await keys(Key);
    await s3.send(new DeleteObjectCommand({ Bucket, Key }));
    expect(`put, got, listed, deleted: ${Key}`, same && listed.join() === Key && (await keys(Key)).length === 0);
  }
  const left = await keys("");
  expect("the list shows what is left", left.join() === "copied greeting,greeting,large,stream");
  await s3.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects: left.map((Key) => ({ Key })) } }));
};

const dynamodb = async (TableName) => {
  const client = new DynamoDBClient(config);
  const table = { TableName, KeySchema: [{ AttributeName: "order", KeyType: "HASH" }], AttributeDefinitions: [{ AttributeName: "order", AttributeType: "S" }] };
  await client.send(new CreateTableCommand({ ...table, BillingMode: "PAY_PER_REQUEST" }));
  const Item = { order: { S: "Größe 42 + 1" }, price: { N: "19.5" } };
  await client.send(new PutItemCommand({ TableName, Item }));
  const got = await client.send(new GetItemCommand({ TableName, Key: { order: Item.order } }));
  expect("table: item put and got", got.Item.price.N === "19.5");
  await client.send(new DeleteTableCommand({ TableName }));
};

const sqs = async (QueueName) => {
  const client = new SQSClient(config);
  const { QueueUrl } = await client.send(new CreateQueueCommand({ QueueName }));
  const MessageBody = "one order: 42 × “Größe” & more";
  await client.send(new SendMessageCommand({ QueueUrl, MessageBody }));
  const { Messages } = await client.send(new ReceiveMessageCommand({ QueueUrl, WaitTimeSeconds: 1 }));
  expect("queue: message sent and received", Messages.length === 1 && Messages[0].Body === MessageBody);
  await client.send(new DeleteQueueCommand({ QueueUrl }));
};

const name = `tour-${randomUUID().slice(0, 8)}`;
expect((await new STSClient(config).send(new GetCallerIdentityCommand())).Arn, true);
const s3 = new S3Client(config);
await s3.send(new CreateBucketCommand({ Bucket: name }));
await small(s3, name);
await large(s3, name);
await oddKeys(s3, name);
await s3.send(new DeleteBucketCommand({ Bucket: name }));
expect("bucket deleted", true);
await dynamodb(name);
await sqs(name);

// A tour of S3, DynamoDB, SQS and STS with the AWS SDK for Java v1: each thing compared with what was put.
// Usage: Tour DIRECTORY BUCKET

import com.amazonaws.services.dynamodbv2.AmazonDynamoDBClientBuilder;
import com.amazonaws.services.dynamodbv2.model.AttributeDefinition;
import com.amazonaws.services.dynamodbv2.model.AttributeValue;
import com.amazonaws.services.dynamodbv2.model.BillingMode;
import com.amazonaws.services.dynamodbv2.model.CreateTableRequest;
import com.amazonaws.services.dynamodbv2.model.KeySchemaElement;
import com.amazonaws.services.s3.AmazonS3;
import com.amazonaws.services.s3.AmazonS3ClientBuilder;
import com.amazonaws.services.s3.model.DeleteObjectsRequest;
import com.amazonaws.services.s3.model.GetObjectRequest;
import com.amazonaws.services.s3.model.S3ObjectSummary;
import com.amazonaws.services.s3.transfer.TransferManagerBuilder;
import com.amazonaws.services.securitytoken.AWSSecurityTokenServiceClientBuilder;
import com.amazonaws.services.securitytoken.model.GetCallerIdentityRequest;
import com.amazonaws.services.sqs.AmazonSQSClientBuilder;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Random;

class Tour {
    static final int MIB = 1024 * 1024;
    static final int LARGE_BYTES = 64 * MIB;
    static final List<String> ODD_KEYS = List.of("with spaces.txt", "a+b.txt", "a=b&c.txt", "double//slash.txt", "/leading//slash.txt",
            "grüße/日本語.txt", "100%.txt", "semi;colon,comma.txt", "~tilde'(quote)!*.txt");

    public static void main(String[] arguments) throws Exception {
        var directory = Path.of(arguments[0]);
        var bucket = arguments[1];
        System.out.println("  " + AWSSecurityTokenServiceClientBuilder.defaultClient().getCallerIdentity(new GetCallerIdentityRequest()).getArn());
        var s3 = AmazonS3ClientBuilder.defaultClient();
        s3.createBucket(bucket);
        small(s3, bucket);
        large(s3, bucket, directory);
        oddKeys(s3, bucket);
        var left = keys(s3, bucket, "");
        expect("the list shows what is left", left.equals(List.of("copied greeting", "greeting", "large", "signed")));
        s3.deleteObjects(new DeleteObjectsRequest(bucket).withKeys(left.toArray(String[]::new)));
        s3.deleteBucket(bucket);
        expect("bucket deleted", true);
        dynamodb(bucket);
        sqs(bucket);
    }

    static void expect(String what, boolean good) {
        if (!good) {
            throw new IllegalStateException("MISMATCH: " + what);
        }
        System.out.println("  " + what);
    }

    static void small(AmazonS3 s3, String bucket) throws IOException {
        s3.putObject(bucket, "greeting", "hello");
        expect("5 bytes put and got", s3.getObjectAsString(bucket, "greeting").equals("hello"));
        try (var range = s3.getObject(new GetObjectRequest(bucket, "greeting").withRange(1, 3))) {
            expect("a range of 3 bytes got", new String(range.getObjectContent().readAllBytes(), StandardCharsets.UTF_8).equals("ell"));
        }
        s3.copyObject(bucket, "greeting", bucket, "copied greeting");
        expect("5 bytes copied and got", s3.getObjectAsString(bucket, "copied greeting").equals("hello"));
    }

    // In parts, by the SDK's manager of transfers, and chunk-signed, which this SDK does over TLS only when it is asked to.
    static void large(AmazonS3 s3, String bucket, Path directory) throws Exception {
        var body = new byte[LARGE_BYTES];
        new Random(20261122).nextBytes(body);
        var file = Files.write(directory.resolve("large"), body).toFile();
        var transfers = TransferManagerBuilder.standard().withS3Client(s3).withMinimumUploadPartSize(8L * MIB).build();
        transfers.upload(bucket, "large", file).waitForCompletion();
        transfers.shutdownNow(false);
        expect("64 MiB put in parts and got", isThere(s3, bucket, "large", body));
        AmazonS3ClientBuilder.standard().withPayloadSigningEnabled(true).build().putObject(bucket, "signed", file);
        expect("64 MiB put chunk-signed and got", isThere(s3, bucket, "signed", body));
    }

    static boolean isThere(AmazonS3 s3, String bucket, String key, byte[] body) throws IOException {
        try (var object = s3.getObject(bucket, key)) {
            return java.util.Arrays.equals(object.getObjectContent().readAllBytes(), body);
        }
    }

    static void oddKeys(AmazonS3 s3, String bucket) {
        for (var key : ODD_KEYS) {
            s3.putObject(bucket, key, key);
            var same = s3.getObjectAsString(bucket, key).equals(key);
            var listed = keys(s3, bucket, key).equals(List.of(key));
            s3.deleteObject(bucket, key);
            expect("put, got, listed, deleted: " + key, same && listed && keys(s3, bucket, key).isEmpty());
        }
    }

    static List<String> keys(AmazonS3 s3, String bucket, String prefix) {
        return s3.listObjectsV2(bucket, prefix).getObjectSummaries().stream().map(S3ObjectSummary::getKey).toList();
    }

    static void dynamodb(String table) {
        var dynamodb = AmazonDynamoDBClientBuilder.defaultClient();
        dynamodb.createTable(new CreateTableRequest(List.of(new AttributeDefinition("order", "S")), table,
                List.of(new KeySchemaElement("order", "HASH")), null).withBillingMode(BillingMode.PAY_PER_REQUEST));
        var item = Map.of("order", new AttributeValue("Größe 42 + 1"), "price", new AttributeValue().withN("19.5"));
        dynamodb.putItem(table, item);
        expect("table: item put and got", dynamodb.getItem(table, Map.of("order", item.get("order"))).getItem().equals(item));
        dynamodb.deleteTable(table);
    }

    static void sqs(String name) {
        var sqs = AmazonSQSClientBuilder.defaultClient();
        var queue = sqs.createQueue(name).getQueueUrl();
        var body = "one order: 42 × “Größe” & more";
        sqs.sendMessage(queue, body);
        var messages = sqs.receiveMessage(queue).getMessages();
        expect("queue: message sent and received", messages.size() == 1 && messages.get(0).getBody().equals(body));
        sqs.deleteQueue(queue);
    }
}

//! A tour of S3 with the AWS SDK for Rust: small, large and oddly named objects, each compared with what was put.

use std::error::Error;
use std::io::Read as _;
use std::path::Path;

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart, Delete, ObjectIdentifier};

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

const MIB: usize = 1024 * 1024;
const LARGE_BYTES: usize = 64 * MIB;
const PART_BYTES: usize = 8 * MIB;
const ODD_KEYS: [&str; 9] = [
    "with spaces.txt",
    "a+b.txt",
    "a=b&c.txt",
    "double//slash.txt",
    "/leading//slash.txt",
    "grüße/日本語.txt",
    "100%.txt",
    "semi;colon,comma.txt",
    "~tilde'(quote)!*.txt",
];

/// Ends the tour at the first thing that is not as it should be.
fn expect(what: &str, good: bool) -> Outcome {
    if !good {
        return Err(format!("MISMATCH: {what}").into());
    }
    println!("  {what}");
    Ok(())
}

/// A bucket of the tour's own.
struct Bucket {
    s3: Client,
    name: String,
}

impl Bucket {
    async fn put(&self, key: &str, body: ByteStream) -> Outcome {
        self.s3.put_object().bucket(&self.name).key(key).body(body).send().await?;
        Ok(())
    }

    async fn get(&self, key: &str) -> Outcome<Vec<u8>> {
        let got = self.s3.get_object().bucket(&self.name).key(key).send().await?;
        Ok(got.body.collect().await?.to_vec())
    }

    async fn keys(&self, prefix: &str) -> Outcome<Vec<String>> {
        let listed = self.s3.list_objects_v2().bucket(&self.name).prefix(prefix).send().await?;
        Ok(listed.contents().iter().filter_map(|object| object.key().map(str::to_owned)).collect())
    }
}

async fn small(bucket: &Bucket) -> Outcome {
    bucket.put("greeting", ByteStream::from_static(b"hello")).await?;
    expect("5 bytes put and got", bucket.get("greeting").await? == b"hello")?;
    let range = bucket.s3.get_object().bucket(&bucket.name).key("greeting").range("bytes=1-3").send().await?;
    expect("a range of 3 bytes got", range.body.collect().await?.to_vec() == b"ell")?;
    let source = format!("{}/greeting", bucket.name);
    bucket.s3.copy_object().bucket(&bucket.name).key("copied greeting").copy_source(source).send().await?;
    expect("5 bytes copied and got", bucket.get("copied greeting").await? == b"hello")
}

async fn large(bucket: &Bucket, file: &Path) -> Outcome {
    let mut body = Vec::with_capacity(LARGE_BYTES);
    std::fs::File::open("/dev/urandom")?.take(LARGE_BYTES as u64).read_to_end(&mut body)?;
    std::fs::write(file, &body)?;
    bucket.put("stream", ByteStream::from_path(file).await?).await?;
    expect("64 MiB put in one stream and got", bucket.get("stream").await? == body)?;

    let Bucket { s3, name } = bucket;
    let begun = s3.create_multipart_upload().bucket(name).key("large").send().await?;
    let id = begun.upload_id().ok_or("no upload id")?;
    let mut parts = Vec::new();
    for (number, part) in (1..).zip(body.chunks(PART_BYTES)) {
        let upload = s3.upload_part().bucket(name).key("large").upload_id(id).part_number(number);
        let done = upload.body(ByteStream::from(part.to_vec())).send().await?;
        let checksum = done.checksum_crc32().map(str::to_owned);
        let part = CompletedPart::builder().part_number(number).set_e_tag(done.e_tag().map(str::to_owned));
        parts.push(part.set_checksum_crc32(checksum).build());
    }
    let parts = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
    let complete = s3.complete_multipart_upload().bucket(name).key("large").upload_id(id);
    complete.multipart_upload(parts).send().await?;
    expect("64 MiB put in 8 parts and got", bucket.get("large").await? == body)
}

async fn odd_keys(bucket: &Bucket) -> Outcome {
    for key in ODD_KEYS {
        bucket.put(key, ByteStream::from_static(key.as_bytes())).await?;
        let same = bucket.get(key).await? == key.as_bytes();
        let listed = bucket.keys(key).await? == [key];
        bucket.s3.delete_object().bucket(&bucket.name).key(key).send().await?;
        let gone = bucket.keys(key).await?.is_empty();
        expect(&format!("put, got, listed, deleted: {key}"), same && listed && gone)?;
    }
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Outcome {
    let [directory, name] =
        std::env::args().skip(1).collect::<Vec<_>>().try_into().map_err(|_| "give a directory and a bucket")?;
    let bucket = Bucket { s3: Client::new(&aws_config::load_from_env().await), name };
    bucket.s3.create_bucket().bucket(&bucket.name).send().await?;
    small(&bucket).await?;
    large(&bucket, &Path::new(&directory).join("large")).await?;
    odd_keys(&bucket).await?;
    let left = bucket.keys("").await?;
    expect("the list shows what is left", left == ["copied greeting", "greeting", "large", "stream"])?;
    let objects = left.iter().map(|key| ObjectIdentifier::builder().key(key).build()).collect::<Result<Vec<_>, _>>()?;
    let all = Delete::builder().set_objects(Some(objects)).build()?;
    bucket.s3.delete_objects().bucket(&bucket.name).delete(all).send().await?;
    bucket.s3.delete_bucket().bucket(&bucket.name).send().await?;
    expect("bucket deleted", true)
}

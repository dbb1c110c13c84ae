//! Squid with ssl-bump: mints leaves in a process of its own, and is led to the origin as to a parent.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use anyhow::ensure;
use tokio::process::Command;

use super::{Ground, write};
use crate::certificates;
use crate::server::Server;
use crate::stage::HOST;

/// Mints the leaves.
const HELPER: &str = "/usr/lib/squid/security_file_certgen";

/// Where its processes share memory.
const SHARED: &str = "/dev/shm";

/// Starts it, on `port`.
pub(super) async fn start(program: &Path, ground: &Ground<'_>, port: u16) -> anyhow::Result<Server> {
    let folder = &ground.folder;
    certificates::authority(folder, "both.pem")?;
    let store = folder.join("certs");
    let made = std::process::Command::new(HELPER).args(["-c", "-s"]).arg(&store).args(["-M", "16MB"]).output()?;
    ensure!(made.status.success(), "{HELPER}: {}", String::from_utf8_lossy(&made.stderr));
    let file = folder.join("squid.conf");
    write(&file, &config(ground, port))?;

    let mut command = Command::new(program);
    if std::fs::metadata(folder)?.uid() == 0 {
        // It does not run as root; Debian's package makes a user for it.
        let given = std::process::Command::new("chown").args(["-R", "proxy:proxy"]).arg(folder).status()?;
        ensure!(given.success(), "squid's folder cannot be given to it");
        command = Command::new("setpriv");
        command.args(["--reuid=proxy", "--regid=proxy", "--clear-groups"]).arg(program);
    }
    // What it shares in memory is called after it. It stays when squid is killed, and under the same name none starts again.
    let name = format!("bench{port}");
    command.args(["-N", "-n", &name, "-f"]).arg(file);
    let server = Server::other(command, port, folder.join("log")).await;
    forget(&name)?;
    server
}

/// Takes away the names of what it shares; it has it open already.
fn forget(name: &str) -> anyhow::Result<()> {
    for entry in std::fs::read_dir(SHARED)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(&format!("{name}-")) {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

fn config(ground: &Ground<'_>, port: u16) -> String {
    let (at, (origin, root)) = (ground.folder.display(), ground.origin);
    format!(
        "http_port 127.0.0.1:{port} ssl-bump generate-host-certificates=on dynamic_cert_mem_cache_size=16MB tls-cert={at}/both.pem\n\
         sslcrtd_program {HELPER} -s {at}/certs -M 16MB\nsslcrtd_children 1 startup=1 idle=1\nssl_bump bump all\n\
         cache_peer 127.0.0.1 parent {origin} 0 no-query no-digest originserver tls tls-cafile={} ssldomain={HOST}\nnever_direct allow all\n\
         http_access allow all\ncache deny all\naccess_log none\ncache_log {at}/cache.log\npid_filename {at}/pid\ncoredump_dir {at}\n\
         server_persistent_connections on\nclient_persistent_connections on\nvia off\nforwarded_for transparent\npinger_enable off\n\
         max_filedescriptors 16384\n",
        root.display()
    )
}

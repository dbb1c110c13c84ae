//! The peers: what others would put in our place. None of them signs; each ends the client's TLS and opens its own.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use tokio::process::Command;

use crate::certificates;
use crate::server::Server;
use crate::stage::HOST;

/// What a peer is given to start with.
pub(crate) struct Ground<'a> {
    /// A folder of its own.
    pub(crate) folder: PathBuf,
    /// The origin's TLS port, and its root.
    pub(crate) origin: (u16, &'a Path),
}

/// A peer.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Peer {
    Nginx,
    Haproxy,
    Hudsucker,
    Mitmproxy,
    Squid,
}

impl Peer {
    /// As it stands in the table.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Nginx => "nginx (TLS both sides)",
            Self::Haproxy => "HAProxy (TLS both sides)",
            Self::Hudsucker => "hudsucker (no-op)",
            Self::Mitmproxy => "mitmproxy",
            Self::Squid => "squid ssl-bump",
        }
    }

    /// Whether it is asked for a tunnel; the others stand where the origin would, with a certificate of one host.
    pub(crate) const fn is_forward(self) -> bool {
        !matches!(self, Self::Nginx | Self::Haproxy)
    }

    /// The program, if it is installed; `peers` is where `benches/compare` installs those that Debian does not have.
    fn program(self, peers: &Path) -> Option<PathBuf> {
        let program = match self {
            Self::Nginx => PathBuf::from("/usr/sbin/nginx"),
            Self::Haproxy => PathBuf::from("/usr/sbin/haproxy"),
            Self::Hudsucker => peers.join("hudsucker/release/hudsucker-peer"),
            Self::Mitmproxy => peers.join("mitmproxy/bin/mitmdump"),
            Self::Squid => PathBuf::from("/usr/sbin/squid"),
        };
        program.exists().then_some(program)
    }

    /// Starts it; its root is left in the folder as `root.pem`.
    pub(crate) async fn start(self, ground: &Ground<'_>) -> anyhow::Result<Server> {
        let port = free_port()?;
        // `target/release/load` stands two below the folder with `peers`.
        let peers = std::env::current_exe()?.ancestors().nth(2).context("a target folder")?.join("peers");
        let program = self.program(&peers).context("it is not installed; benches/compare does that")?;
        std::fs::create_dir_all(&ground.folder)?;
        let is_root = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata(&ground.folder)?) == 0;
        let mut command = if self == Self::Squid && is_root { nobody(&program) } else { Command::new(program) };
        match self {
            Self::Nginx => nginx(&mut command, ground, port)?,
            Self::Haproxy => haproxy(&mut command, ground, port)?,
            Self::Hudsucker => hudsucker(&mut command, ground, port)?,
            Self::Mitmproxy => mitmproxy(&mut command, ground, port)?,
            Self::Squid => squid(&mut command, ground, port)?,
        }
        Server::other(command, port, ground.folder.join("log")).await
    }
}

/// Squid does not run as root; Debian's package makes a user for it.
fn nobody(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--reuid=proxy", "--regid=proxy", "--clear-groups"]).arg(program);
    command
}

fn free_port() -> anyhow::Result<u16> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

fn nginx(command: &mut Command, ground: &Ground<'_>, port: u16) -> anyhow::Result<()> {
    let (folder, (origin, root)) = (&ground.folder, ground.origin);
    certificates::leaf(folder, HOST)?;
    let at = folder.display();
    let config = format!(
        "daemon off;\nmaster_process off;\nworker_processes 1;\npid {at}/pid;\nerror_log {at}/errors;\n\
         events {{ worker_connections 32768; }}\n\
         http {{\n access_log off;\n client_max_body_size 0;\n keepalive_requests 100000000;\n client_body_temp_path {at}/t1;\n proxy_temp_path {at}/t2;\n\
         fastcgi_temp_path {at}/t3;\n uwsgi_temp_path {at}/t4;\n scgi_temp_path {at}/t5;\n\
         upstream origin {{ server 127.0.0.1:{origin}; keepalive 256; keepalive_requests 100000000; }}\n\
         server {{\n listen 127.0.0.1:{port} ssl;\n ssl_certificate {at}/leaf.pem;\n ssl_certificate_key {at}/leaf.key;\n\
         ssl_protocols TLSv1.3;\n ssl_session_cache shared:s:10m;\n\
         location / {{\n proxy_pass https://origin;\n proxy_http_version 1.1;\n proxy_set_header Connection '';\n proxy_set_header Host $http_host;\n\
         proxy_ssl_name {HOST};\n proxy_ssl_server_name on;\n proxy_ssl_verify on;\n proxy_ssl_trusted_certificate {};\n proxy_ssl_protocols TLSv1.3;\n\
         proxy_request_buffering off;\n proxy_buffering on;\n proxy_max_temp_file_size 0;\n }}\n }}\n}}\n",
        root.display()
    );
    write(&folder.join("nginx.conf"), &config)?;
    command.arg("-p").arg(folder).arg("-c").arg(folder.join("nginx.conf"));
    Ok(())
}

fn haproxy(command: &mut Command, ground: &Ground<'_>, port: u16) -> anyhow::Result<()> {
    let (folder, (origin, root)) = (&ground.folder, ground.origin);
    certificates::leaf(folder, HOST)?;
    let config = format!(
        "global\n nbthread 1\n\
         defaults\n mode http\n timeout connect 5s\n timeout client 120s\n timeout server 120s\n http-reuse always\n\
         frontend f\n bind 127.0.0.1:{port} ssl crt {}/leaf-both.pem ssl-min-ver TLSv1.3\n default_backend b\n\
         backend b\n server origin 127.0.0.1:{origin} ssl verify required ca-file {} sni str({HOST}) verifyhost {HOST} ssl-min-ver TLSv1.3 pool-max-conn 256\n",
        folder.display(),
        root.display()
    );
    write(&folder.join("haproxy.cfg"), &config)?;
    command.arg("-db").arg("-f").arg(folder.join("haproxy.cfg"));
    Ok(())
}

fn hudsucker(command: &mut Command, ground: &Ground<'_>, port: u16) -> anyhow::Result<()> {
    command.args([port.to_string(), ground.origin.0.to_string(), HOST.to_owned()]);
    command.arg(ground.origin.1).arg(ground.folder.join("root.pem"));
    Ok(())
}

fn mitmproxy(command: &mut Command, ground: &Ground<'_>, port: u16) -> anyhow::Result<()> {
    let (folder, (origin, root)) = (&ground.folder, ground.origin);
    let redirect = format!(
        "def server_connect(data):\n    data.server.address = ('127.0.0.1', {origin})\n    data.server.sni = '{HOST}'\n"
    );
    write(&folder.join("redirect.py"), &redirect)?;
    certificates::authority(folder, "mitmproxy-ca.pem")?;
    let (port, roots) = (port.to_string(), format!("ssl_verify_upstream_trusted_ca={}", root.display()));
    let confdir = format!("confdir={}", folder.display());
    command.args(["-q", "--listen-host", "127.0.0.1", "-p", &port, "--set", &confdir, "--set", &roots]);
    command.args(["--set", "stream_large_bodies=1m", "--set", "connection_strategy=lazy", "-s"]);
    command.arg(folder.join("redirect.py"));
    Ok(())
}

fn squid(command: &mut Command, ground: &Ground<'_>, port: u16) -> anyhow::Result<()> {
    let (folder, (origin, root)) = (&ground.folder, ground.origin);
    certificates::authority(folder, "both.pem")?;
    let at = folder.display();
    let helper = "/usr/lib/squid/security_file_certgen";
    let made = std::process::Command::new(helper)
        .args(["-c", "-s"])
        .arg(folder.join("certs"))
        .args(["-M", "16MB"])
        .output()?;
    anyhow::ensure!(made.status.success(), "{helper}: {}", String::from_utf8_lossy(&made.stderr));
    let config = format!(
        "http_port 127.0.0.1:{port} ssl-bump generate-host-certificates=on dynamic_cert_mem_cache_size=16MB tls-cert={at}/both.pem\n\
         sslcrtd_program {helper} -s {at}/certs -M 16MB\nsslcrtd_children 1 startup=1 idle=1\nssl_bump bump all\n\
         cache_peer 127.0.0.1 parent {origin} 0 no-query no-digest originserver tls tls-cafile={} ssldomain={HOST}\nnever_direct allow all\n\
         http_access allow all\ncache deny all\naccess_log none\ncache_log {at}/cache.log\npid_filename {at}/pid\ncoredump_dir {at}\n\
         server_persistent_connections on\nclient_persistent_connections on\nvia off\nforwarded_for transparent\npinger_enable off\n\
         max_filedescriptors 16384\n",
        root.display()
    );
    write(&folder.join("squid.conf"), &config)?;
    if std::os::unix::fs::MetadataExt::uid(&std::fs::metadata(folder)?) == 0 {
        let given = std::process::Command::new("chown").args(["-R", "proxy:proxy"]).arg(folder).status()?;
        anyhow::ensure!(given.success(), "squid's folder cannot be given to it");
    }
    command.args(["-N", "-f"]).arg(folder.join("squid.conf"));
    Ok(())
}

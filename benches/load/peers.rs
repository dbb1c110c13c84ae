//! The peers: what others would put in our place. Each ends the client's TLS and opens its own; one of them signs.

mod envoy;
mod squid;

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use tokio::process::Command;

use crate::certificates;
use crate::server::{Server, free_port};
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
    Envoy,
    EnvoySigning,
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
            Self::Envoy => "Envoy (TLS both sides)",
            Self::EnvoySigning => "Envoy, signing",
        }
    }

    /// Whether it is asked for a tunnel; the others stand where the origin would, with a certificate of one host.
    pub(crate) const fn is_forward(self) -> bool {
        match self {
            Self::Nginx | Self::Haproxy | Self::Envoy | Self::EnvoySigning => false,
            Self::Hudsucker | Self::Mitmproxy | Self::Squid => true,
        }
    }

    /// The program, if it is installed; `peers` is where `benches/compare` installs those that Debian does not have.
    fn program(self, peers: &Path) -> Option<PathBuf> {
        let program = match self {
            Self::Nginx => PathBuf::from("/usr/sbin/nginx"),
            Self::Haproxy => PathBuf::from("/usr/sbin/haproxy"),
            Self::Hudsucker => peers.join("hudsucker/release/hudsucker-peer"),
            Self::Mitmproxy => peers.join("mitmproxy/bin/mitmdump"),
            Self::Squid => PathBuf::from("/usr/sbin/squid"),
            Self::Envoy | Self::EnvoySigning => peers.join("envoy/bin/envoy"),
        };
        program.exists().then_some(program)
    }

    /// Starts it; its root is left in the folder as `root.pem`.
    pub(crate) async fn start(self, ground: &Ground<'_>) -> anyhow::Result<Server> {
        let port = free_port()?;
        // `target/release/load` stands two below the folder with `peers`.
        let peers = std::env::current_exe()?.ancestors().nth(2).context("a target folder")?.join("peers");
        let program = self.program(&peers).context("it is not installed; benches/compare does that")?;
        let mut command = Command::new(&program);
        match self {
            Self::Nginx => nginx(&mut command, ground, port)?,
            Self::Haproxy => haproxy(&mut command, ground, port)?,
            Self::Hudsucker => hudsucker(&mut command, ground, port)?,
            Self::Mitmproxy => mitmproxy(&mut command, ground, port)?,
            Self::Squid => return squid::start(&program, ground, port).await,
            Self::Envoy => envoy::prepare(&mut command, ground, (port, false))?,
            Self::EnvoySigning => envoy::prepare(&mut command, ground, (port, true))?,
        }
        Server::other(command, port, ground.folder.join("log")).await
    }
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
    // Where it is led is not told to it: it keeps a connection for the address that was asked for, and would make one for
    // every request if `server_connect` gave it another.
    let redirect = format!(
        "import asyncio\n\ndial = asyncio.open_connection\n\nasync def to_origin(*_, **options):\n    return await dial('127.0.0.1', {origin}, **options)\n\n\
         asyncio.open_connection = to_origin\n\ndef server_connect(data):\n    data.server.sni = '{HOST}'\n"
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

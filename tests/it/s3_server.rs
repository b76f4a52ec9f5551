//! An S3 server inside the test process: real HTTP on a loopback port, signatures checked, objects
//! in a temporary folder.

use std::{
    path::{Path, PathBuf},
    thread,
};

use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use s3s::{auth::SimpleAuth, service::S3ServiceBuilder};
use s3s_fs::FileSystem;
use tempfile::TempDir;
use tokio::{net::TcpListener, sync::oneshot, task::JoinSet};

/// A running server. It stops, and its objects are removed, on drop.
pub(crate) struct S3Server {
    /// `http://127.0.0.1:<port>`.
    pub(crate) endpoint: String,
    /// The one bucket, which exists already.
    pub(crate) bucket: &'static str,
    /// The one access key id.
    pub(crate) access_key: &'static str,
    /// The secret beside it.
    pub(crate) secret_key: &'static str,
    root: TempDir,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

/// Starts a server on a free port, in a separate thread, so that any kind of test can use it.
pub(crate) fn start() -> S3Server {
    let root = tempfile::tempdir().expect("a temporary folder");
    let bucket = "calls";
    let access_key = "AKIDTEST";
    let secret_key = "a-secret-for-tests";
    let (stop, stopped) = oneshot::channel();
    let (address, listening) = std::sync::mpsc::channel();
    let folder: PathBuf = root.path().to_owned();
    let thread = thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        runtime.block_on(async {
            let listener = TcpListener::bind(("127.0.0.1", 0))
                .await
                .expect("a free port");
            address
                .send(listener.local_addr().expect("an address"))
                .expect("the starter waits");
            tokio::select! {
                () = serve(listener, &folder, access_key, secret_key) => {}
                _ = stopped => {}
            }
        });
    });
    let address = listening.recv().expect("the server starts");
    let endpoint = format!("http://{address}");
    let server = S3Server {
        endpoint,
        bucket,
        access_key,
        secret_key,
        root,
        stop: Some(stop),
        thread: Some(thread),
    };
    std::fs::create_dir(server.root().join(bucket)).expect("a bucket");
    server
}

impl S3Server {
    /// Returns the folder of all data: buckets are folders, unfinished uploads are files beside
    /// them.
    pub(crate) fn root(&self) -> &Path {
        self.root.path()
    }
}

impl Drop for S3Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ended = thread.join();
        }
    }
}

async fn serve(listener: TcpListener, root: &Path, access_key: &str, secret_key: &str) {
    let mut builder = S3ServiceBuilder::new(FileSystem::new(root).expect("the folder is there"));
    builder.set_auth(SimpleAuth::from_single(access_key, secret_key));
    let service = builder.build();
    let mut connections = JoinSet::new();
    loop {
        let Ok((socket, _)) = listener.accept().await else {
            continue;
        };
        let connection =
            http1::Builder::new().serve_connection(TokioIo::new(socket), service.clone());
        connections.spawn(async move {
            // A client may disconnect at any time.
            let _ended = connection.await;
        });
    }
}

//! A socket whose bodies are never polled: only the socket itself checks the guards here.

use futures_util::poll;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use super::*;
use crate::flow::Staged;

/// A socket that carries one stream, and its peer.
async fn carrying(guard: StreamGuard) -> (GuardedSocket, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (accepted, other) = tokio::join!(listener.accept(), TcpStream::connect(address));
    let line = Arc::new(SocketState::default());
    let mut response = Response::new(Body::from("what is still to come"));
    response.extensions_mut().insert(guard);
    // The body is dropped, but its guard stays.
    drop(line.carry(response, None));
    let wire = GuardedSocket::new(accepted.unwrap().0, line, Duration::from_secs(60));
    (wire, other.unwrap())
}

#[tokio::test]
async fn after_a_shred_nothing_is_written_and_the_other_end_is_reset() {
    let (staged, guard) = Staged::begin(Duration::ZERO);
    let (mut wire, mut other) = carrying(guard).await;
    wire.write_all(b"heard").await.unwrap();
    let mut heard = [0; 5];
    other.read_exact(&mut heard).await.unwrap();

    staged.silence();
    let refused = wire.write(b"not heard").await.unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::ConnectionAborted);
    drop(wire);
    let end = other.read(&mut heard).await.unwrap_err();
    assert_eq!(end.kind(), io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn bytes_wait_on_the_wire_while_the_database_is_not_asked() {
    let (staged, guard) = Staged::begin(Duration::from_millis(1600));
    let (mut wire, _other) = carrying(guard).await;
    let mut write = Box::pin(wire.write(b"later"));
    assert!(
        poll!(&mut write).is_pending(),
        "nobody has asked for a while"
    );
    staged.look();
    assert!(matches!(poll!(&mut write), Poll::Ready(Ok(5))));
}

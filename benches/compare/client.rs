//! A small HTTP/1.1 client, the same for every measured server, and cheap enough not to affect the
//! results.

use std::{
    io::{self, Read as _, Write as _},
    net::{Ipv4Addr, TcpStream},
    ops::Range,
    time::{Duration, Instant},
};

/// Bytes read at a time.
const BUFFER: usize = 256 * 1024;

/// One persistent connection.
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// An answer.
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// From the request until the first byte of the body.
    pub(crate) first_byte: Duration,
    /// From the request until the last byte of the body.
    pub(crate) whole: Duration,
    pub(crate) length: u64,
}

impl Connection {
    pub(crate) fn open(port: u16) -> io::Result<Self> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        Ok(Self {
            stream,
            buffer: vec![0; BUFFER],
        })
    }

    /// Requests a byte range, and reads and discards all of it.
    pub(crate) fn get(&mut self, path: &str, range: Range<u64>) -> io::Result<Answer> {
        let last = range.end.saturating_sub(1);
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nRange: bytes={}-{last}\r\n\r\n",
            range.start
        );
        let begun = Instant::now();
        self.stream.write_all(request.as_bytes())?;
        let (head, mut received) = self.head()?;
        let length = head.length()?;
        if received == 0 && length > 0 {
            received = self.more(0)? as u64;
        }
        let first_byte = begun.elapsed();
        while received < length {
            received += self.more(0)? as u64;
        }
        if received > length {
            return Err(io::Error::other("more came back than was said"));
        }
        Ok(Answer {
            status: head.status()?,
            first_byte,
            whole: begun.elapsed(),
            length,
        })
    }

    /// Reads until the end of the headers. Also returns the number of body bytes that came with
    /// them.
    fn head(&mut self) -> io::Result<(Head, u64)> {
        let mut filled = 0;
        loop {
            filled += self.more(filled)?;
            let known = self.buffer.get(..filled).unwrap_or_default();
            if let Some(at) = known.windows(4).position(|four| four == b"\r\n\r\n") {
                let text = String::from_utf8_lossy(known.get(..at).unwrap_or_default())
                    .to_ascii_lowercase();
                return Ok((Head(text), (filled - at - 4) as u64));
            }
        }
    }

    fn more(&mut self, at: usize) -> io::Result<usize> {
        match self
            .stream
            .read(self.buffer.get_mut(at..).unwrap_or_default())?
        {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            read => Ok(read),
        }
    }
}

struct Head(String);

impl Head {
    fn status(&self) -> io::Result<u16> {
        let status = self
            .0
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok());
        status.ok_or_else(|| io::Error::other("no status"))
    }

    fn length(&self) -> io::Result<u64> {
        let length = self
            .0
            .lines()
            .find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
        length.ok_or_else(|| io::Error::other("no length"))
    }
}

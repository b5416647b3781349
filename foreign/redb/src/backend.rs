//! A file of the simulated disk as a storage backend of redb.

use fastness_crashkit::{Access, SimFile, SimFs};
use redb::StorageBackend;
use std::io;
use std::path::Path;

/// Path of the database.
const FILE: &str = "/sim/store.redb";

#[derive(Debug)]
pub(crate) struct Backend(SimFile);

impl Backend {
    /// Opens the file, or creates it with a durable name.
    pub(crate) fn open(fs: &SimFs) -> io::Result<Self> {
        let path = Path::new(FILE);
        match fs.open(path, Access::ReadWrite) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let file = fs.open(path, Access::CreateNew)?;
                fs.sync_dir(path)?;
                Ok(Self(file))
            }
            opened => opened.map(Self),
        }
    }

    fn fill(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let mut done = 0;
        while done < out.len() {
            match self.0.read_at(&mut out[done..], offset + done as u64)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => done += count,
            }
        }
        Ok(())
    }

    fn put(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut done = 0;
        while done < data.len() {
            done += self.0.write_at(&data[done..], offset + done as u64)?;
        }
        Ok(())
    }
}

impl StorageBackend for Backend {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    #[cfg(feature = "api-2")]
    fn read(&self, offset: u64, len: usize) -> io::Result<Vec<u8>> {
        let mut out = vec![0; len];
        self.fill(offset, &mut out)?;
        Ok(out)
    }

    #[cfg(not(feature = "api-2"))]
    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.fill(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    #[cfg(feature = "api-2")]
    fn sync_data(&self, _eventual: bool) -> io::Result<()> {
        self.0.sync()
    }

    #[cfg(not(feature = "api-2"))]
    fn sync_data(&self) -> io::Result<()> {
        self.0.sync()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.put(offset, data)
    }
}

//! Content between the wire and its final file: in memory while small, then in a temporary file.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

static COUNTER: AtomicU64 = AtomicU64::new(0);

/// Collects content. Errors of the disk are kept and reported by [`Staging::finish`], so that a protocol can go on
/// reading to the end of the data.
#[derive(Debug)]
pub struct Staging {
    folder: PathBuf,
    memory_limit: usize,
    memory: Vec<u8>,
    file: Option<(File, PathBuf)>,
    error: Option<io::Error>,
}

/// Complete content, not yet durable.
#[derive(Debug)]
pub struct Staged {
    memory: Vec<u8>,
    file: Option<PathBuf>,
}

impl Staging {
    /// Start collecting; `folder` is for temporary files, on the file system of the final file.
    #[must_use]
    pub fn new(folder: PathBuf, memory_limit: usize) -> Self {
        Self {
            folder,
            memory_limit,
            memory: Vec::new(),
            file: None,
            error: None,
        }
    }

    /// Add content.
    pub fn write(&mut self, data: &[u8]) {
        if self.error.is_some() {
            return;
        }
        self.memory.extend_from_slice(data);
        if self.memory.len() > self.memory_limit {
            if let Err(err) = self.spill() {
                self.error = Some(err);
                self.memory = Vec::new();
            }
        }
    }

    fn spill(&mut self) -> io::Result<()> {
        if self.file.is_none() {
            self.file = Some(temporary(&self.folder)?);
        }
        if let Some((file, _)) = &mut self.file {
            file.write_all(&self.memory)?;
        }
        self.memory.clear();
        Ok(())
    }

    /// The content is complete.
    ///
    /// # Errors
    /// The first error of writing the temporary file.
    pub fn finish(mut self) -> io::Result<Staged> {
        if let Some(err) = self.error.take() {
            return Err(err);
        }
        if self.file.is_some() {
            self.spill()?;
        }
        let file = self.file.take().map(|(_, path)| path);
        Ok(Staged {
            memory: std::mem::take(&mut self.memory),
            file,
        })
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        if let Some((_, path)) = &self.file {
            // Best effort: what stays behind in the temporary folder is swept at the next start.
            let _ = fs::remove_file(path);
        }
    }
}

impl Staged {
    /// Content that is already in memory.
    #[must_use]
    pub fn from_bytes(data: Vec<u8>) -> Self {
        Self {
            memory: data,
            file: None,
        }
    }

    /// Run `work` with the whole content.
    ///
    /// # Errors
    /// When the temporary file cannot be read.
    pub fn with_content<T>(&self, work: impl FnOnce(&[u8]) -> T) -> io::Result<T> {
        match &self.file {
            None => Ok(work(&self.memory)),
            Some(path) => {
                let mut data = Vec::new();
                File::open(path)?.read_to_end(&mut data)?;
                Ok(work(&data))
            }
        }
    }

    /// Make the content durable as `path`, which must not exist. The directory is the caller's to sync.
    ///
    /// # Errors
    /// When the file exists or cannot be written; nothing is left at `path` then, unless it was there before.
    pub fn store(&self, path: &Path) -> io::Result<()> {
        self.write_with(path, File::sync_all)
    }

    /// Like [`Staged::store`], but the content may not be on disk yet: for callers that keep it elsewhere until
    /// [`sync_files`] has been called.
    ///
    /// # Errors
    /// As for [`Staged::store`].
    pub fn write(&self, path: &Path) -> io::Result<()> {
        self.write_with(path, |_| Ok(()))
    }

    fn write_with(&self, path: &Path, finish: impl Fn(&File) -> io::Result<()>) -> io::Result<()> {
        match &self.file {
            Some(temporary) => {
                finish(&File::open(temporary)?)?;
                fs::hard_link(temporary, path)
            }
            None => {
                let mut file = create(path)?;
                let written = file.write_all(&self.memory).and_then(|()| finish(&file));
                if written.is_err() {
                    fs::remove_file(path)?;
                }
                written
            }
        }
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if let Some(path) = &self.file {
            let _ = fs::remove_file(path);
        }
    }
}

fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o660);
    options.open(path)
}

fn temporary(folder: &Path) -> io::Result<(File, PathBuf)> {
    let number = COUNTER.fetch_add(1, Ordering::Relaxed);
    let stamp = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| since.as_nanos());
    let path = folder.join(format!("staged-{}-{stamp}-{number}", std::process::id()));
    create(&path).map(|file| (file, path))
}

/// Make the content of files durable; files that are gone are passed over. Their directories are the caller's to sync.
///
/// # Errors
/// When a file cannot be opened or synced; the others may be durable or not.
pub fn sync_files(paths: &[PathBuf]) -> io::Result<()> {
    for path in paths {
        match File::open(path) {
            Ok(file) => file.sync_all()?,
            Err(err) if err.kind() == io::ErrorKind::NotFound => {}
            Err(err) => return Err(err),
        }
    }
    Ok(())
}

/// Make the names in a directory durable. No effect where directories cannot be opened (Windows).
///
/// # Errors
/// When the directory cannot be opened or synced.
pub fn fsync_dir(path: &Path) -> io::Result<()> {
    if cfg!(windows) {
        return Ok(());
    }
    File::open(path)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("smtpdata-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        path
    }

    #[test]
    fn small_and_large_content_is_stored() {
        let dir = folder("store");
        for (name, limit) in [("memory", 1000), ("file", 10)] {
            let mut staging = Staging::new(dir.clone(), limit);
            for _ in 0..20 {
                staging.write(b"hello");
            }
            let staged = staging.finish().unwrap();
            let path = dir.join(name);
            staged.store(&path).unwrap();
            assert_eq!(fs::read(&path).unwrap(), b"hello".repeat(20));
            assert_eq!(staged.with_content(<[u8]>::len).unwrap(), 100);
            assert_eq!(
                staged.store(&path).unwrap_err().kind(),
                io::ErrorKind::AlreadyExists
            );
            drop(staged);
        }
        assert_eq!(
            fs::read_dir(&dir).unwrap().count(),
            2,
            "temporary files are removed"
        );
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn written_content_is_made_durable_later() {
        let dir = folder("sync");
        let paths = [dir.join("one"), dir.join("gone"), dir.join("two")];
        Staged::from_bytes(b"1".to_vec()).write(&paths[0]).unwrap();
        Staged::from_bytes(b"2".to_vec()).write(&paths[2]).unwrap();
        sync_files(&paths).unwrap();
        assert_eq!(fs::read(&paths[2]).unwrap(), b"2");
        assert!(sync_files(&[dir.join("one").join("not a folder")]).is_err());
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn disk_error_is_reported_at_the_end() {
        let mut staging = Staging::new(PathBuf::from("/nonexistent-folder"), 3);
        staging.write(b"hello");
        staging.write(b"hello");
        assert!(staging.finish().is_err());
    }
}

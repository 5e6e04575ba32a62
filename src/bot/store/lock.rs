use std::{
    fs::File,
    io::{self, Read as _, Seek as _, Write as _},
    path::Path,
};

/// Why something is not had.
#[derive(Debug)]
pub(crate) enum Refused {
    /// Another process has it.
    Taken {
        /// Which, as it wrote it down.
        pid: String,
    },
    /// The file cannot be used.
    Io(io::Error),
}

impl From<io::Error> for Refused {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Takes a file for this process, which writes its id into it. It is free again when the file is dropped, or the process ends.
pub(crate) fn take(path: &Path) -> Result<File, Refused> {
    let mut open = File::options();
    let mut file = open
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)?;
    if file.try_lock().is_err() {
        let mut pid = String::new();
        file.take(20).read_to_string(&mut pid)?;
        return Err(Refused::Taken { pid });
    }
    file.set_len(0)?;
    file.rewind()?;
    write!(file, "{}", std::process::id())?;
    Ok(file)
}

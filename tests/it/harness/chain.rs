//! A chain of its own for each test: a real EVM node, and the contracts of `tests/contracts` on it.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicU64, Ordering},
};

use herald_protocol::address::Address;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::OnceCell;

use super::{
    abi,
    program::{Program, finish},
    web::http,
};

/// A running anvil. It is killed when dropped.
pub(crate) struct Evm {
    _program: Program,
    url: String,
    reorganised: AtomicU64,
    /// Where it keeps old states.
    _folder: TempDir,
}

impl Evm {
    /// A chain with the id 31337 that makes a block of each transaction.
    pub(crate) async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// A chain with more arguments of anvil: `--chain-id 137`, `--no-mining`, `--block-time 1`, `--slots-in-an-epoch 1`.
    pub(crate) async fn start_with(arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new(anvil());
        // Whoever sends a transaction need not own anything, and a block takes as many as a test sends.
        command.args([
            "--port",
            "0",
            "--auto-impersonate",
            "--block-base-fee-per-gas",
            "0",
        ]);
        command.args(["--gas-limit", "1000000000", "--cache-path"]);
        command.arg(folder.path()).args(arguments);
        let program = Program::start("anvil", command);
        let address = |line: &Value| Some(line.as_str()?.strip_prefix("Listening on ")?.to_owned());
        let is_up = |lines: &[Value]| lines.iter().any(|line| address(line).is_some());
        program.until("it listens", is_up).await;
        let address = program.lines().iter().find_map(address).unwrap();
        Self {
            _program: program,
            url: format!("http://{address}"),
            reorganised: AtomicU64::new(0),
            _folder: folder,
        }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Asks the node. It must have an answer.
    pub(crate) async fn rpc(&self, method: &str, parameters: Value) -> Value {
        let answer = self.try_rpc(method, parameters).await;
        answer.unwrap_or_else(|error| panic!("{method}: {error}"))
    }

    /// Asks the node, for an answer or the object of the error.
    pub(crate) async fn try_rpc(&self, method: &str, parameters: Value) -> Result<Value, Value> {
        ask(&self.url, method, parameters).await
    }

    /// The number of the newest block.
    pub(crate) async fn head(&self) -> u64 {
        quantity(&self.rpc("eth_blockNumber", json!([])).await)
    }

    /// The block of this number.
    pub(crate) async fn block(&self, number: u64) -> Value {
        self.rpc("eth_getBlockByNumber", json!([hexadecimal(number), false]))
            .await
    }

    /// The events of a contract in these blocks.
    pub(crate) async fn logs(&self, contract: Address, from: u64, to: u64) -> Vec<Value> {
        logs(&self.url, contract, from, to).await.unwrap()
    }

    /// Makes blocks, the first with what waits.
    pub(crate) async fn mine(&self, blocks: u64) {
        self.rpc("anvil_mine", json!([hexadecimal(blocks)])).await;
    }

    /// Makes a block so many seconds later.
    pub(crate) async fn pass(&self, seconds: u64) {
        self.rpc("evm_increaseTime", json!([seconds])).await;
        self.mine(1).await;
    }

    /// Makes a block at this time, in seconds since 1970.
    pub(crate) async fn mine_at(&self, timestamp: u64) {
        self.rpc("evm_setNextBlockTimestamp", json!([timestamp])).await;
        self.mine(1).await;
    }

    /// Replaces so many of the newest blocks by as many others. What was in them is gone, and is not sent again.
    pub(crate) async fn reorg(&self, depth: u64) {
        // Empty blocks of the same time would be the same again.
        let miner = 1 + self.reorganised.fetch_add(1, Ordering::Relaxed);
        let miner = format!("0x{miner:040x}");
        self.rpc("anvil_setCoinbase", json!([miner])).await;
        self.rpc("anvil_reorg", json!([depth, []])).await;
    }

    /// Puts a contract of `tests/contracts` on the chain.
    pub(crate) async fn deploy(&self, contract: &str) -> Address {
        let code = &compiled().await[contract]["bytecode"];
        let receipt = self
            .transact(json!({ "from": anybody().to_string(), "data": code }))
            .await;
        receipt["contractAddress"].as_str().unwrap().parse().unwrap()
    }

    /// Puts a contract at an address, without its constructor.
    pub(crate) async fn put_code(&self, contract: &str, address: Address) {
        let code = &compiled().await[contract]["runtime"];
        self.rpc("anvil_setCode", json!([address.to_string(), code]))
            .await;
    }

    /// Calls a contract in a transaction of somebody's and gives the receipt.
    pub(crate) async fn send(&self, to: Address, signature: &str, arguments: Value) -> Value {
        self.send_from(anybody(), to, signature, arguments).await
    }

    /// Calls a contract in a transaction of this wallet and gives the receipt.
    pub(crate) async fn send_from(
        &self,
        from: Address,
        to: Address,
        signature: &str,
        arguments: Value,
    ) -> Value {
        self.transact(call(from, to, signature, &arguments)).await
    }

    /// Leaves a transaction for the next block and gives its hash.
    pub(crate) async fn submit(
        &self,
        from: Address,
        to: Address,
        signature: &str,
        arguments: Value,
    ) -> String {
        let call = free(call(from, to, signature, &arguments));
        let hash = self.rpc("eth_sendTransaction", json!([call])).await;
        hash.as_str().unwrap().to_owned()
    }

    /// What a function of a contract gives at the newest block.
    pub(crate) async fn call(&self, to: Address, signature: &str, arguments: Value) -> Vec<u8> {
        let answer = self.try_call(to, signature, arguments).await;
        answer.unwrap_or_else(|error| panic!("{signature}: {error}"))
    }

    /// What a function of a contract gives at the newest block, or how it fails.
    pub(crate) async fn try_call(
        &self,
        to: Address,
        signature: &str,
        arguments: Value,
    ) -> Result<Vec<u8>, Value> {
        let call = call(anybody(), to, signature, &arguments);
        let answer = self.try_rpc("eth_call", json!([call, "latest"])).await?;
        Ok(const_hex::decode(answer.as_str().unwrap()).unwrap())
    }

    async fn transact(&self, transaction: Value) -> Value {
        let receipt = self
            .rpc("eth_sendTransactionSync", json!([free(transaction)]))
            .await;
        assert_eq!(receipt["status"], "0x1", "{receipt}");
        receipt
    }
}

/// Asks a node, for an answer or the object of the error.
pub(crate) async fn ask(url: &str, method: &str, parameters: Value) -> Result<Value, Value> {
    let request = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": parameters });
    let answer = http().post(url).json(&request).send().await.unwrap();
    assert_eq!(answer.status(), 200, "{method}");
    let mut answer: Value = answer.json().await.unwrap();
    match answer["error"].take() {
        Value::Null => Ok(answer["result"].take()),
        error => Err(error),
    }
}

/// The events of a contract that a node tells of in these blocks.
pub(crate) async fn logs(url: &str, contract: Address, from: u64, to: u64) -> Result<Vec<Value>, Value> {
    let filter = json!({
        "address": contract.to_string(), "fromBlock": hexadecimal(from), "toBlock": hexadecimal(to),
    });
    let logs = ask(url, "eth_getLogs", json!([filter])).await?;
    Ok(logs.as_array().unwrap().clone())
}

/// A number as nodes write it.
pub(crate) fn hexadecimal(number: u64) -> String {
    format!("{number:#x}")
}

/// A number that a node wrote.
#[track_caller]
pub(crate) fn quantity(value: &Value) -> u64 {
    let digits = value.as_str().and_then(|text| text.strip_prefix("0x"));
    let number = digits.and_then(|digits| u64::from_str_radix(digits, 16).ok());
    number.unwrap_or_else(|| panic!("no number: {value}"))
}

/// Who sends when it does not matter who.
fn anybody() -> Address {
    Address::from_bytes([0xaa; 20])
}

fn call(from: Address, to: Address, signature: &str, arguments: &Value) -> Value {
    let data = abi::encode(signature, arguments);
    json!({ "from": from.to_string(), "to": to.to_string(), "data": data })
}

/// A transaction that costs nothing.
fn free(mut transaction: Value) -> Value {
    transaction["gasPrice"] = "0x0".into();
    transaction
}

/// The contracts by name, compiled once a process.
async fn compiled() -> &'static Value {
    static COMPILED: OnceCell<Value> = OnceCell::const_new();
    let compile = || async {
        let mut node = Command::new("node");
        node.arg(tests().join("contracts/compile.cjs"));
        finish(node, "").await.expect(0).json()
    };
    COMPILED.get_or_init(compile).await
}

/// The node's program for this machine, which npm has installed.
fn anvil() -> PathBuf {
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    let system = match std::env::consts::OS {
        "macos" => "darwin",
        other => other,
    };
    let package = format!("interop/node_modules/@foundry-rs/anvil-{system}-{architecture}");
    let path = tests().join(package).join("bin/anvil");
    assert!(
        path.exists(),
        "no {}: run `npm ci --ignore-scripts` in tests/interop, as tests/run does",
        path.display()
    );
    path
}

fn tests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")
}

// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.20;

/// A resolver that sends whoever asks to its gateway again and again (EIP-3668), in whatever name it likes.
contract LoopingResolver {
    error OffchainLookup(
        address sender, string[] urls, bytes callData, bytes4 callbackFunction, bytes extraData
    );

    string[] private urls;
    address private sender = address(this);

    function setUrl(string calldata to) external {
        urls.push(to);
    }

    function speakFor(address to) external {
        sender = to;
    }

    function resolve(bytes calldata, bytes calldata) external view returns (bytes memory) {
        revert OffchainLookup(sender, urls, "", this.again.selector, "");
    }

    function again(bytes calldata, bytes calldata) external view returns (bytes memory) {
        revert OffchainLookup(sender, urls, "", this.again.selector, "");
    }

    function supportsInterface(bytes4 id) external pure returns (bool) {
        return id == 0x01ffc9a7 || id == 0x9061b923;
    }
}

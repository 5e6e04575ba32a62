// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.20;

interface Gateway {
    function resolve(bytes calldata name, bytes calldata data) external view returns (bytes memory);
}

/// A resolver whose records are at a gateway (EIP-3668), which must answer what was committed to here.
contract OffchainResolver {
    error OffchainLookup(
        address sender, string[] urls, bytes callData, bytes4 callbackFunction, bytes extraData
    );

    string[] private urls;
    mapping(bytes32 => bytes32) private commitments;

    function setUrls(string[] calldata to) external {
        delete urls;
        for (uint256 i = 0; i < to.length; i++) urls.push(to[i]);
    }

    /// The gateway's answer to this question has this content, and no other is taken.
    function commit(bytes calldata name, bytes calldata data, bytes calldata response) external {
        commitments[keccak256(abi.encode(name, data))] = keccak256(response);
    }

    function resolve(bytes calldata name, bytes calldata data) external view returns (bytes memory) {
        revert OffchainLookup(
            address(this),
            urls,
            abi.encodeCall(Gateway.resolve, (name, data)),
            this.resolveWithProof.selector,
            abi.encode(keccak256(abi.encode(name, data)))
        );
    }

    /// `response` is what the record's own function would return.
    function resolveWithProof(bytes calldata response, bytes calldata extraData)
        external
        view
        returns (bytes memory)
    {
        bytes32 question = abi.decode(extraData, (bytes32));
        require(commitments[question] == keccak256(response), "not what was committed to");
        return response;
    }

    function supportsInterface(bytes4 id) external pure returns (bool) {
        return id == 0x01ffc9a7 || id == 0x9061b923;
    }
}

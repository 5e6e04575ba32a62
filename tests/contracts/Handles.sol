// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.20;

/// Handles of a social network as tokens of their owners, with the interface of Lens' `LensHandles` on Polygon.
contract Handles {
    event Transfer(address indexed from, address indexed to, uint256 indexed tokenId);

    mapping(uint256 => address) private owners;
    mapping(uint256 => string) private names;

    function mint(address to, string calldata localName) external returns (uint256 id) {
        id = getTokenId(localName);
        require(owners[id] == address(0), "taken");
        owners[id] = to;
        names[id] = localName;
        emit Transfer(address(0), to, id);
    }

    function transferFrom(address from, address to, uint256 id) external {
        require(owners[id] == from && from == msg.sender, "not the owner");
        owners[id] = to;
        emit Transfer(from, to, id);
    }

    function getTokenId(string memory localName) public pure returns (uint256) {
        return uint256(keccak256(bytes(localName)));
    }

    function exists(uint256 id) external view returns (bool) {
        return owners[id] != address(0);
    }

    function ownerOf(uint256 id) external view returns (address) {
        require(owners[id] != address(0), "ERC721: invalid token ID");
        return owners[id];
    }

    function getLocalName(uint256 id) external view returns (string memory) {
        return names[id];
    }
}
